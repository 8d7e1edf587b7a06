"""Groups that choose an entry of a registry, typed by that entry's own dataclasses.

A new entry brings its own keys, and this file stays as it is.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, TypeVar

from nas_search.commands.reading import check_keys, nameless, read_as, read_name, read_parts
from nas_search.core.registry import Registry
from nas_search.spaces import SPACES, SearchSpace
from nas_search.tables import BENCHMARKS, Table
from nas_search.tables.table import NONE


class WithOptions(Protocol):
    """A record whose entry has options."""

    @property
    def name(self) -> str:
        """The name that users write."""
        ...

    @property
    def options(self) -> type[Any]:
        """Dataclass of the options."""
        ...


Record = TypeVar("Record", bound=WithOptions)


def read_choice(
    registry: Registry[Record], group: str, values: dict[str, Any]
) -> tuple[Record, Any]:
    """Return the entry that a group chooses, and its options.

    Raises:
        InputError: there is no such entry, key or value.
    """
    record = registry.get(read_name(values, group))
    return record, read_as(record.options, group, nameless(values))


def read_space(
    values: dict[str, Any],
) -> tuple[SearchSpace[Any], dict[str, Any], dict[str, Any]]:
    """Return the space that the group ``search_space`` chooses, its skeleton and its options.

    Raises:
        InputError: there is no such space, key or value.
    """
    record = SPACES.get(read_name(values, "search_space"))
    parts = read_parts("search_space", nameless(values), record.macro, record.options)
    macro, options = map(dataclasses.asdict, parts)
    return record.space(**options), macro, options


def read_table(space: SearchSpace[Any], values: dict[str, Any]) -> Table | None:
    """Return the table that the group ``benchmark`` chooses; None for ``benchmark=none``.

    Raises:
        InputError: there is no such reader or file, or the table is of another space.
    """
    if read_name(values, "benchmark") == NONE:
        check_keys("benchmark", nameless(values), ())
        return None
    record, options = read_choice(BENCHMARKS, "benchmark", values)
    return record.read(space, options)
