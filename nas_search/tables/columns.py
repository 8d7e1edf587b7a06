"""Columns of a table as people keep them: CSV with any usual separator, or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.installed import how_to_install
from nas_search.core.text import quote

PARQUET = (".parquet", ".pq")

SEPARATORS = (",", ";", "\t")

UNKNOWN = ("", "nan", "na", "n/a", "null", "none", "-", "?")
"""What stands in a cell whose accuracy is not known, in any case."""


def read_columns(file: Path) -> Mapping[str, Sequence[Any]]:
    """Return the columns of a CSV or Parquet file by name.

    A CSV has a header; its cells are separated by commas, semicolons or tabs, whichever gives the
    header most names. It is UTF-8, or UTF-16 as spreadsheets write it.

    Raises:
        InputError: it cannot be read, has two columns of one name, or is Parquet and pyarrow is not
            installed.
    """
    if file.suffix.lower() in PARQUET:
        return _read_parquet(file)
    try:
        content = file.read_bytes()
        text = content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
        first = text.partition("\n")[0]
        separator = max(
            SEPARATORS, key=lambda one: len(next(csv.reader([first], delimiter=one), []))
        )
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header = [name.strip() for name in next(reader, [])]
        rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {file} as CSV ({error})") from None
    _refuse_doubles(file, header)
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InputError(
                f"{file}, row {number}: {len(row)} cells under a header of {len(header)}"
            )
    columns = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    if separator == ";":  # as in countries that write 93,5
        columns = {name: [_with_point(cell) for cell in cells] for name, cells in columns.items()}
    return columns


def accuracies(file: Path, name: str, values: Sequence[Any]) -> np.ndarray:
    """Return a column of accuracies as floats (n,) in percent; unknown ones are NaN.

    A column whose highest value is 1 or less holds fractions: it is multiplied by 100.

    Raises:
        InputError: a value is not a finite number, or none is known.
    """
    result = numbers(file, name, values)
    return 100 * result if are_fractions(result) else result


def are_fractions(values: np.ndarray) -> bool:
    """Whether accuracies (n,) are fractions of 1, not percent."""
    return bool(len(values) and np.nanmax(values) <= 1)


def doubts(file: Path, name: str, values: Sequence[Any]) -> list[str]:
    """Return a sentence where a column of accuracies seems to hold something else; often none.

    They are taken as they are: what ranks architectures needs no percent.

    Raises:
        InputError: as :func:`accuracies`.
    """
    stored = numbers(file, name, values)
    known = stored[~np.isnan(stored)]
    if not len(known):
        return []
    fractions = are_fractions(known)
    outside = int(((known < 0) | (known > (1 if fractions else 100))).sum())
    if outside:
        said = (
            f"{outside} of {len(known)} values are outside 0 to {1 if fractions else 100} (lowest "
            f"{known.min():g}, highest {known.max():g})"
        )
    elif not fractions and 2 * int((known <= 1).sum()) >= len(known):
        said = (
            f"most values are 1 or less, but not all (highest {known.max():g}), so they are read "
            "as percent, not as fractions"
        )
    else:
        return []
    turned = (
        "as of losses whose sign was turned" if known.max() <= 0 else "so turn the sign of losses"
    )
    return [f"{file}, column '{name}': {said}; a higher value counts as better, {turned}"]


def numbers(file: Path, name: str, values: Sequence[Any]) -> np.ndarray:
    """Return a column of numbers as floats (n,); unknown ones are NaN.

    Raises:
        InputError: a value is not a finite number, or none is known.
    """
    result = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        text = "" if value is None else str(value).strip().removesuffix("%").rstrip()
        if text.lower() in UNKNOWN:
            continue
        try:
            result[row] = float(text)
        except ValueError:
            raise InputError(f"{file}, column '{name}': {quote(value)} is not a number") from None
        if not np.isfinite(result[row]):
            raise InputError(
                f"{file}, column '{name}', row {row + 1}: {quote(value)} is no accuracy; leave the "
                "cell empty where it is unknown"
            )
    if len(values) and np.isnan(result).all():
        raise InputError(f"{file}, column '{name}' is empty: no accuracy is known; name another")
    return result


def _with_point(cell: str) -> str:
    """Return a number with a decimal comma as one with a point; other cells as they are."""
    whole, comma, rest = cell.strip().partition(",")
    is_number = comma and whole.lstrip("+-").isdigit() and rest.rstrip("% ").isdigit()
    return f"{whole}.{rest}" if is_number else cell


def _refuse_doubles(file: Path, header: Sequence[str]) -> None:
    doubles = [name for name, count in Counter(header).items() if count > 1 and name]
    if doubles:
        raise InputError(f"{file} has two columns '{doubles[0]}'; rename or remove one of them")


def _read_parquet(file: Path) -> Mapping[str, Sequence[Any]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{file} is Parquet, which needs the package 'pyarrow': {how_to_install('parquet')} "
            "(or save the table as CSV)"
        ) from None
    try:
        with parquet.ParquetFile(file) as opened:
            _refuse_doubles(file, opened.schema_arrow.names)  # before reading, which some refuse
            columns: Mapping[str, Sequence[Any]] = opened.read().to_pydict()
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot read {file} as Parquet ({reason})") from None
    return columns
