"""A user's own table: CSV or Parquet, with an architecture column and columns of accuracies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.spaces import SearchSpace
from nas_search.tables.columns import accuracies, read_columns
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
    """

    path: str = ""
    architecture: str = "architecture"
    validation: str = "accuracy"
    test: list[str] = field(default_factory=list)
    where: dict[str, str] | None = None


def read_text_table(space: SearchSpace[Any], options: TextTableOptions) -> Table:
    """Return the table in a CSV or Parquet file; repeated architectures are averaged.

    The columns of accuracies are those named in ``options``; empty cells are unknown accuracies.

    Raises:
        InputError: the file or a column is missing, or a cell has a wrong value; the message names
            the row.
    """
    file = existing_file(options.path, "csv")
    cells = read_columns(file)
    where = options.where or {}
    test = tuple(options.test) or (options.validation,)
    names = tuple(dict.fromkeys((options.validation, *test)))
    for name in (options.architecture, *names, *where):
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
    columns = {}
    for name in names:
        values = accuracies(file, name, cells[name])[rows]
        if rows and np.isnan(values).all():
            raise InputError(
                f"{file}, column '{name}' is empty in the rows that benchmark.where={where} keeps"
            )
        columns[name] = _means(values, indices, len(genotypes))
    architectures = [genotype for _, genotype in genotypes.values()]
    return Table(space, architectures, columns, options.validation, test)


def _means(values: np.ndarray, indices: np.ndarray, count: int) -> np.ndarray:
    """Return the mean (count,) of the finite values per index; NaN if there are none."""
    finite = np.isfinite(values)
    sums = np.bincount(indices[finite], values[finite], minlength=count)
    counts = np.bincount(indices[finite], minlength=count)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


BENCHMARKS.add(
    BenchmarkRecord(
        name="csv",
        read=read_text_table,
        options=TextTableOptions,
        source="any CSV or Parquet file",
    )
)
