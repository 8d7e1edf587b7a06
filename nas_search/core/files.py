"""Plain files for people and scripts: CSV and JSON, written as new files and moved into place."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nas_search.core.errors import InputError, RunError

FORMULA = ("=", "+", "@", "\t", "\r")
"""Beginnings of a cell that spreadsheets calculate."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new, empty file, which takes the place of ``path`` after the block.

    A symbolic link at either path is replaced, never written through.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # that of a full disk names no file
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically: a killed process or a full disk leaves the previous file.

    Raises:
        RunError: the disk refuses; the previous file is kept.
    """
    try:
        with replacing(path) as new, new.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch.save turns a full disk into RuntimeError
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise RunError(
            f"cannot write {path} ({reason}); free space and repeat the command: it continues "
            "after the last epoch that was written"
        ) from error


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
    """Write ``value`` as indented JSON, which has no NaN and no infinity: they become null.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


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
    """Write ``text`` in UTF-8; bytes of file names that are no UTF-8 stay what they are.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8", errors="surrogateescape")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
