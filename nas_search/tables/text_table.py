"""A user's own table: CSV or Parquet, with an architecture column and columns of accuracies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.spaces import SearchSpace
from nas_search.tables.columns import accuracies, are_fractions, doubts, numbers, read_columns
from nas_search.tables.repeats import Repeats, means_and_repeats
from nas_search.tables.table import BENCHMARKS, BenchmarkRecord, Table, existing_file


@dataclass(frozen=True)
class TextTableOptions:
    """Options of a user's own table.

    Attributes:
        path: the file; Parquet if it ends in .parquet or .pq, otherwise CSV with a header.
        architecture: column of architectures in the search space's text form.
        validation: column of accuracies (in %, or fractions up to 1) that ``proxy=oracle`` searches
            on.
        test: columns of such accuracies that a search reports; empty means the validation column.
        where: keep only rows with these values by column; None keeps all rows.
        deviations: the column of standard deviations of a column of accuracies that are means of
            several trainings; None where there are none. Rows that repeat an architecture need
            none: they are trainings.
        trainings: of how many trainings such an accuracy is the mean; 0 where it is not said.
    """

    path: str = ""
    architecture: str = "architecture"
    validation: str = "accuracy"
    test: list[str] = field(default_factory=list)
    where: dict[str, str] | None = None
    deviations: dict[str, str] | None = None
    trainings: int = 0


def read_text_table(space: SearchSpace[Any], options: TextTableOptions) -> Table:
    """Return the table in a CSV or Parquet file; repeated architectures are averaged.

    The columns of accuracies are those named in ``options``; empty cells are unknown accuracies.
    Rows that repeat an architecture are repeated trainings of it.

    Raises:
        InputError: the file or a column is missing, or a cell has a wrong value; the message names
            the row.
    """
    file = existing_file(options.path, "csv")
    cells = read_columns(file)
    where = options.where or {}
    test = tuple(options.test) or (options.validation,)
    names = tuple(dict.fromkeys((options.validation, *test)))
    _check_deviations(options, names)
    deviations = options.deviations or {}
    for name in (options.architecture, *names, *where, *deviations.values()):
        if name not in cells:
            guess = did_you_mean(name, cells)
            raise InputError(f"{file} has no column '{name}'{guess}; it has {', '.join(cells)}")
    texts = cells[options.architecture]
    rows = [
        row
        for row in range(len(texts))
        if all(str(cells[key][row]) == value for key, value in where.items())
    ]
    genotypes: dict[str, tuple[int, Any]] = {}
    indices = np.empty(len(rows), dtype=np.int64)
    for number, row in enumerate(rows):
        try:
            genotype = space.parse(str(texts[row]))
        except InputError as error:
            raise InputError(f"{file}, row {row + 1}: {error}") from None
        indices[number] = genotypes.setdefault(str(genotype), (len(genotypes), genotype))[0]
    columns, repeats = {}, {}
    for name in names:
        values = accuracies(file, name, cells[name])[rows]
        if rows and np.isnan(values).all():
            raise InputError(
                f"{file}, column '{name}' is empty in the rows that benchmark.where={where} keeps"
            )
        columns[name], repeats[name] = means_and_repeats(values, indices, len(genotypes))
        if name in deviations:
            repeats[name] = _told(file, options, cells, name, rows, indices, len(genotypes))
    architectures = [genotype for _, genotype in genotypes.values()]
    return Table(
        space,
        architectures,
        columns,
        options.validation,
        test,
        repeats=repeats,
        notes=[doubt for name in names for doubt in doubts(file, name, cells[name])],
    )


def _told(
    file: Path,
    options: TextTableOptions,
    cells: Mapping[str, Sequence[Any]],
    name: str,
    rows: Sequence[int],
    groups: np.ndarray,
    count: int,
) -> Repeats:
    """Return the repeats that the column of standard deviations of ``name`` tells of.

    Raises:
        InputError: it holds something else than standard deviations.
    """
    column = (options.deviations or {})[name]
    deviations = numbers(file, column, cells[column])[rows]
    if (deviations < 0).any():
        raise InputError(f"{file}, column '{column}': a standard deviation is 0 or more")
    if are_fractions(numbers(file, name, cells[name])):
        deviations = 100 * deviations
    known = np.isfinite(deviations)
    sums = np.bincount(groups[known], deviations[known] ** 2, minlength=count)
    times = np.bincount(groups[known], minlength=count)
    trainings = options.trainings * np.maximum(np.bincount(groups, minlength=count), 1.0)
    return Repeats(
        sums / np.maximum(times, 1), np.asarray(times * (options.trainings - 1.0)), trainings
    )


def _check_deviations(options: TextTableOptions, names: Sequence[str]) -> None:
    """Check the options that tell of repeated trainings.

    Raises:
        InputError: they contradict themselves or each other.
    """
    for name in options.deviations or {}:
        if name not in names:
            raise InputError(
                f"benchmark.deviations names '{name}', which is no column of accuracies here: "
                f"{', '.join(names)}"
            )
    if options.deviations and options.trainings < 2:
        raise InputError(
            "benchmark.deviations needs benchmark.trainings=N, 2 or more: of how many trainings "
            "each accuracy is the mean"
        )
    if options.trainings and not options.deviations:
        raise InputError(
            "benchmark.trainings needs benchmark.deviations={ACCURACY: COLUMN}: the standard "
            "deviations of these trainings"
        )


BENCHMARKS.add(
    BenchmarkRecord(
        name="csv",
        read=read_text_table,
        options=TextTableOptions,
        source="any CSV or Parquet file",
    )
)
