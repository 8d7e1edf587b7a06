"""Plain files for people and scripts: CSV and JSON, written atomically."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError

FORMULA = ("=", "+", "@", "\t", "\r")
"""Beginnings of a cell that spreadsheets calculate."""


def user_path(text: str | Path, key: str = "") -> Path:
    """Return a path as a person wrote it; ``~`` and ``~name`` at its start are home folders.

    Args:
        text: the path.
        key: of the configuration, for the message.

    Raises:
        InputError: there is no such home folder; a container's user may have none.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:  # HOME is unset, and the system knows no home of this user
        raise InputError(
            f"{key}{'=' if key else ''}{text}: there is no home folder for "
            f"{Path(text).parts[0]}; write the whole path"
        ) from None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write ``value`` as indented JSON; numbers that are not finite, which JSON lacks, as null.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows under a header; None is an empty cell.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_no_formula, header))
    writer.writerows([map(_no_formula, row) for row in rows])
    write_text(path, text.getvalue())


def _no_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA else cell


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
