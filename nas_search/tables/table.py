"""The interface of a tabular benchmark: architectures, their accuracies by column, a reader."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.core.registry import Registry
from nas_search.spaces import SearchSpace
from nas_search.tables.repeats import Array, Repeats, repeats_of_equal_networks


class Table:
    """Accuracies of the architectures of one search space.

    An architecture is looked up by its text first: isomorphic cells that were trained separately
    have separate accuracies. Otherwise by its canonical form: the first row of the same network.

    Args:
        space: the search space of the architectures.
        architectures: (n) genotypes, no two with the same text.
        columns: accuracies (n,) in percent by name; NaN if unknown.
        validation: the column that ``proxy=oracle`` searches on.
        test: the columns that a search reports.
        canonical: canonical forms of the architectures, if available; then look-up uses only these,
            and ``architectures`` may make its genotypes on access.
        repeats: repeated trainings by column, where the table has them.
        notes: sentences on what may be wrong with it, for the person who brought it.

    Raises:
        InputError: there is no architecture or no column, or a named column does not exist.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        architectures: Sequence[Hashable],
        columns: Mapping[str, Array],
        validation: str,
        test: Sequence[str],
        canonical: Sequence[str] | None = None,
        repeats: Mapping[str, Repeats] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        for name in (validation, *test):
            if name not in columns:
                raise InputError(
                    f"the benchmark has no column '{name}'; possible: {', '.join(columns)}"
                )
        if not len(architectures):
            raise InputError("the benchmark's table has no architectures")
        self.space = space
        self.architectures = architectures
        self.columns = dict(columns)
        self.validation = validation
        self.test = tuple(test)
        self.notes = tuple(notes)
        self._repeats = dict(repeats or {})
        self._canonical = canonical
        self._by_text = {} if canonical else {str(a): row for row, a in enumerate(architectures)}
        self._by_canonical = _first_rows(canonical) if canonical else None

    def __len__(self) -> int:
        return len(self.architectures)

    @property
    def reported(self) -> tuple[str, ...]:
        """The columns that a search reports: validation and test, each once."""
        return tuple(dict.fromkeys((self.validation, *self.test)))

    def row(self, genotype: Hashable) -> int | None:
        """Return the row of ``genotype``; None if the table does not contain it."""
        row = self._by_text.get(str(genotype)) if self._by_text else None
        if row is not None:
            return row
        if self._by_canonical is None:  # never reached for a complete table
            self._by_canonical = _first_rows(self._canonical_forms())
        return self._by_canonical.get(self.space.canonical(genotype))

    def accuracy(self, genotype: Hashable, column: str) -> float | None:
        """Return the accuracy of ``genotype`` in percent; None if unknown."""
        row = self.row(genotype)
        value = float("nan") if row is None else float(self.columns[column][row])
        return value if np.isfinite(value) else None

    def repeats(self, column: str) -> Repeats | None:
        """Return the repeated trainings of ``column``; None if no network was trained twice.

        Where the table itself has none, rows of the same network (isomorphic cells) are repeats.
        """
        own = self._repeats.get(column)
        if own is None or not own.tells:
            own = repeats_of_equal_networks(self.columns[column], self._canonical_forms())
        return own if own.tells else None

    def _canonical_forms(self) -> Sequence[str]:
        if self._canonical is None:
            self._canonical = [self.space.canonical(a) for a in self.architectures]
        return self._canonical

    def best(self, column: str) -> float:
        """Return the highest accuracy in ``column``."""
        return float(np.nanmax(self.columns[column]))


def _first_rows(keys: Sequence[str]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, row)
    return rows


@dataclass(frozen=True)
class BenchmarkRecord:
    """A registered reader of tables.

    Attributes:
        name: the name in ``benchmark=...``.
        read: maps the search space and the options to the table.
        options: dataclass of its options.
        source: paper or file format.
    """

    name: str
    read: Callable[[SearchSpace[Any], Any], Table]
    options: type[Any]
    source: str


BENCHMARKS: Registry[BenchmarkRecord] = Registry("benchmark", "nas_search.tables")

NONE = "none"
"""The choice ``benchmark=none``: no table."""


def existing_file(path: str, benchmark: str) -> Path:
    """Return ``path`` as a path.

    Raises:
        InputError: it is empty, or no file exists there.
    """
    if not path:
        raise InputError(f"benchmark={benchmark} needs a file; add benchmark.path=FILE")
    file = user_path(path, "benchmark.path")
    if not file.is_file():
        raise InputError(f"benchmark.path: there is no file {file}")
    return file


def check_space(space: SearchSpace[Any], wanted: str) -> None:
    """Check that a benchmark covers the search space.

    Raises:
        InputError: the name of ``space`` is not ``wanted``.
    """
    if space.name != wanted:
        raise InputError(
            f"benchmark={wanted} is for search_space={wanted}, not for search_space={space.name}"
        )
