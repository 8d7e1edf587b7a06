"""Which single scores a name stands for: those that are measured."""

from __future__ import annotations

from collections.abc import Sequence

from nas_search.core.errors import InputError
from nas_search.proxies import PROXIES
from nas_search.ranking.aggregates import AGGREGATES


def members_of(name: str) -> tuple[str, ...]:
    """Return the single scores that ``name`` is made of; itself where it is one.

    Raises:
        InputError: there is neither score nor aggregate of that name, or its members are for the
            user to name.
    """
    if name not in AGGREGATES.names():
        return (PROXIES.get(name).name,)
    members = AGGREGATES.get(name).members
    if not members:
        raise InputError(
            f"'{name}' has no members of its own; name them: aggregates={{mine: [NAME, NAME, ...]}}"
        )
    return members


def check_members(members: Sequence[str]) -> None:
    """Refuse a list of members that no aggregate can be made of.

    Raises:
        InputError: one does not exist, is an aggregate itself or stands there twice, or there are
            fewer than two.
    """
    for member in members:
        if member in AGGREGATES.names():
            raise InputError(f"'{member}' is an aggregate itself; list its members")
        PROXIES.get(member)
    if len(set(members)) < max(2, len(members)):
        raise InputError(f"{list(members)} must name two different scores or more, each once")
