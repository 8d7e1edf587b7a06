"""Reader of the official NAS-Bench-101 file, without TensorFlow or protobuf.

A .tfrecord is a sequence of records ``length (uint64), checksum of it (4 bytes), data, checksum
(4)``, all little endian. The data is JSON: hash, epochs, adjacency matrix as a string of 0 and 1
row by row, operations joined by commas, and the protocol buffers message ``ModelMetrics`` in
base64. Its field 1 repeats ``EvaluationData`` for the start, the middle and the end of a training;
fields 4 and 5 of that are the validation and test accuracy as doubles.

Source: github.com/google-research/nasbench, ``api.py`` and ``model_metrics.proto``.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.nasbench101.graph import (
    OPERATIONS,
    CellGraph101,
    canonical,
    prune,
)
from nas_search.tables.repeats import Repeats, columns_and_repeats

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
_VALIDATION, _TEST = 4, 5


def read_records(file: Path) -> tuple[list[str], dict[str, np.ndarray], dict[str, Repeats]]:
    """Return canonical keys (n), accuracies in percent (n,) by column, and the repeated trainings.

    Columns are ``validation_E`` and ``test_E`` for every number of epochs E in the file, means over
    the repeated trainings.

    Raises:
        InputError: the file is not a NAS-Bench-101 .tfrecord.
    """
    trainings: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    keys: dict[tuple[str, str], str] = {}
    try:
        for record in _records(file):
            _, epochs, matrix, operations, metrics = json.loads(record)
            cell = (matrix, operations)
            if cell not in keys:
                keys[cell] = _key(matrix, operations.split(","))
            final = _evaluations(base64.b64decode(metrics))[-1]
            for name, number in (("validation", _VALIDATION), ("test", _TEST)):
                trainings[keys[cell]][f"{name}_{int(epochs)}"].append(100 * final[number])
    except Exception as error:  # a damaged file raises a dozen types
        raise InputError(f"{file} is not a NAS-Bench-101 .tfrecord ({quote(error)})") from None
    return list(trainings), *columns_and_repeats(list(trainings.values()))


def _records(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while header := stream.read(12):
            (length,) = struct.unpack("<Q", header[:8])
            if length > 1 << 20:  # a record has about 500 bytes
                raise ValueError(f"a record of {length} bytes")
            data = stream.read(length)
            if len(data) != length or len(stream.read(4)) != 4:
                raise ValueError("it ends within a record")
            yield data


def _key(matrix: str, operations: list[str]) -> str:
    """Return the canonical form of a cell in the search space."""
    count = len(operations)
    if len(matrix) != count * count:
        raise ValueError(f"a matrix of {len(matrix)} entries for {count} operations")
    sources = tuple(
        tuple(x for x in range(y) if matrix[x * count + y] == "1") for y in range(1, count)
    )
    interior = tuple(OPERATIONS.index(name) for name in operations[1:-1])
    pruned = prune(CellGraph101(sources, interior))
    if pruned is None:
        raise ValueError("a cell without a path")
    graph = canonical(pruned)
    return f"{graph.vertices}-{graph.bits}-{''.join(map(str, graph.operations))}"


def _evaluations(message: bytes) -> list[dict[int, float]]:
    """Return the doubles of each ``EvaluationData`` in a ``ModelMetrics``, by field number."""
    return [
        {
            number: struct.unpack("<d", value)[0]
            for number, kind, value in _fields(data)
            if kind == _DOUBLE
        }
        for number, kind, data in _fields(message)
        if number == 1 and kind == _BYTES
    ]


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number, wire type, raw value) of each field of a protocol buffers message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, end = _varint(message, at)
        elif kind == _BYTES:
            length, at = _varint(message, at)
            end = at + length
        elif kind in (_DOUBLE, _FLOAT):
            end = at + (8 if kind == _DOUBLE else 4)
        else:
            raise ValueError(f"wire type {kind}")
        yield number, kind, message[at:end]
        at = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
