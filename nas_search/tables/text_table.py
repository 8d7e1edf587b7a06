"""A user's own table: CSV or Parquet, with an architecture column and columns of accuracies."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.spaces import SearchSpace
from nas_search.tables.table import BENCHMARKS, BenchmarkRecord, Table, existing_file

PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class TextTableOptions:
    """Options of a user's own table.

    Attributes:
        path: the file; Parquet if it ends in .parquet or .pq, otherwise CSV with a header.
        architecture: column of architectures in the search space's text form.
        validation: column of accuracies (%) that ``proxy=oracle`` searches on.
        test: columns of accuracies (%) that a search reports; empty means the validation column.
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
    accuracies = tuple(dict.fromkeys((options.validation, *test)))
    for name in (options.architecture, *accuracies, *where):
        if name not in cells:
            raise InputError(f"{file} has no column '{name}'; it has {', '.join(cells)}")
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
    for name in accuracies:
        values = numbers(file, name, [cells[name][row] for row in rows])
        columns[name] = _means(values, indices, len(genotypes))
    architectures = [genotype for _, genotype in genotypes.values()]
    return Table(space, architectures, columns, options.validation, test)


def read_columns(file: Path) -> Mapping[str, Sequence[Any]]:
    """Return the columns of a CSV or Parquet file by name.

    Raises:
        InputError: it cannot be read, or it is Parquet and pyarrow is not installed.
    """
    if file.suffix.lower() in PARQUET:
        return _read_parquet(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.reader(text, strict=True)
            header = next(reader, [])
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {file} as CSV ({error})") from None
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(
                f"{file}, row {number}: {len(row)} cells under a header of {len(header)}"
            )
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def _read_parquet(file: Path) -> Mapping[str, Sequence[Any]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{file} is Parquet, which needs the package 'pyarrow': "
            "pip install 'nas-search[parquet]' (or save the table as CSV)"
        ) from None
    try:
        columns: Mapping[str, Sequence[Any]] = parquet.read_table(file).to_pydict()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot read {file} as Parquet ({reason})") from None
    return columns


def numbers(file: Path, name: str, values: Sequence[Any]) -> np.ndarray:
    """Return a column as floats; empty cells are NaN.

    Raises:
        InputError: a value is not a number.
    """
    result = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        try:
            result[row] = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{file}, column '{name}': {value!r} is not a number") from None
    return result


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
