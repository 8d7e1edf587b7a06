"""Plain files for people and scripts: CSV and JSON, written atomically."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError


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
    """Write ``value`` as indented JSON.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows under a header; None is an empty cell.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
