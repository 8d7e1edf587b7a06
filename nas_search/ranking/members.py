"""The single scores behind a name: those that are measured."""

from __future__ import annotations

from collections.abc import Sequence

from nas_search.core.errors import InputError
from nas_search.priors import FITTED, SCORE_AND_PRIOR
from nas_search.proxies import PROXIES
from nas_search.ranking.aggregates import AGGREGATES


def members_of(name: str) -> tuple[str, ...]:
    """Return the members of the aggregate ``name``, or the single score ``name`` itself.

    Of a score that a prior goes into, the score that it joins the prior with, if any.

    Raises:
        InputError: there is no score or aggregate of this name, or the user must name its members.
    """
    if name in FITTED:
        return (SCORE_AND_PRIOR[name],) if name in SCORE_AND_PRIOR else ()
    if name not in AGGREGATES.names():
        return (PROXIES.get(name).name,)
    members = AGGREGATES.get(name).members
    if not members:
        raise InputError(
            f"'{name}' has no members of its own; name them: aggregates={{mine: [NAME, NAME, ...]}}"
        )
    return members


def check_members(members: Sequence[str]) -> None:
    """Check the members of an aggregate.

    Raises:
        InputError: one does not exist, is an aggregate itself or is repeated, or there are fewer
            than two.
    """
    for member in members:
        if member in FITTED:
            raise InputError(f"'{member}' is fitted to accuracies; aggregates are of scores alone")
        if member in AGGREGATES.names():
            raise InputError(f"'{member}' is an aggregate itself; list its members")
        PROXIES.get(member)
    if len(set(members)) < max(2, len(members)):
        raise InputError(f"{list(members)} must name two different scores or more, each once")
