"""The file of a prior: numpy's .npz with plain arrays, and a record as JSON; no pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORD = "record"
LARGEST = 256 * 2**20
"""Bytes that a file may unpack to: what a prior has no use for is not read."""


class BrokenArchive(Exception):
    """The file cannot be read; the message says why."""


def write_archive(
    path: Path, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a record and arrays to ``path``, compressed; equal contents give equal files."""
    text = json.dumps(record, allow_nan=False).encode()
    with path.open("wb") as file:
        contents: dict[str, Any] = {RECORD: np.frombuffer(text, np.uint8), **arrays}
        np.savez_compressed(file, **contents)


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the record and the arrays in ``path``.

    Raises:
        BrokenArchive: the file is none that :func:`write_archive` wrote, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(one.file_size for one in packed.infolist()) > LARGEST:
                raise BrokenArchive("it unpacks to more than a prior needs")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(arrays.pop(RECORD).tobytes())
    except (
        *(OSError, ValueError, KeyError, EOFError, RecursionError, NotImplementedError),
        *(zipfile.BadZipFile, zlib.error, MemoryError, RuntimeError),
    ) as error:
        raise BrokenArchive(str(error) or type(error).__name__) from None
    if not isinstance(record, dict):
        raise BrokenArchive("its record is damaged")
    return record, arrays
