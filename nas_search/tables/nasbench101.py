"""NAS-Bench-101: the official .tfrecord, or the same table as arrays (Ying et al., ICML 2019)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces import SearchSpace
from nas_search.spaces.nasbench101.genotype import from_graph
from nas_search.spaces.nasbench101.graph import MAX_VERTICES, OPERATIONS, from_bits
from nas_search.tables.nasbench101_records import read_records
from nas_search.tables.table import (
    BENCHMARKS,
    BenchmarkRecord,
    Table,
    check_space,
    existing_file,
)

ARRAYS = ("n_vertices", "adj_bits", "ops")


@dataclass(frozen=True)
class Nasbench101Options:
    """Options of the NAS-Bench-101 table.

    Attributes:
        path: the official .tfrecord, or an .npz with ``n_vertices``, ``adj_bits``, ``ops`` and
            arrays of accuracies in percent whose names contain ``acc``.
        validation: column that ``proxy=oracle`` searches on; empty means the only one of the .npz,
            or ``validation_108`` of the .tfrecord.
        test: columns that a search reports; empty means the validation column, or ``test_108``.
    """

    path: str = ""
    validation: str = ""
    test: list[str] = field(default_factory=list)


class _Cells(Sequence[Hashable]):
    """Genotypes made on access: making all 423,624 at once would take minutes."""

    def __init__(self, vertices: np.ndarray, bits: np.ndarray, operations: Sequence[str]) -> None:
        self._vertices, self._bits, self._operations = vertices, bits, operations

    def __len__(self) -> int:
        return len(self._vertices)

    @overload
    def __getitem__(self, row: int) -> Hashable: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[Hashable]: ...

    def __getitem__(self, row: int | slice) -> Hashable | Sequence[Hashable]:
        if isinstance(row, slice):
            return [self[index] for index in range(*row.indices(len(self)))]
        operations = tuple(map(int, self._operations[row]))
        graph = from_bits(int(self._vertices[row]), int(self._bits[row]), operations)
        return from_graph(graph)

    def keys(self) -> list[str]:
        """Return the canonical forms of the search space."""
        rows = zip(self._vertices.tolist(), self._bits.tolist(), self._operations, strict=True)
        return [f"{vertices}-{bits}-{operations}" for vertices, bits, operations in rows]


def read_nasbench101(space: SearchSpace[Any], options: Nasbench101Options) -> Table:
    """Return the table in an .npz or in the official .tfrecord.

    Raises:
        InputError: the file is not such a table, or the search space is another one.
    """
    check_space(space, "nasbench101")
    file = existing_file(options.path, "nasbench101")
    if file.suffix == ".npz":
        return _read_arrays(space, file, options)
    keys, columns, repeats = read_records(file)
    parts = [key.split("-") for key in keys]
    cells = _Cells(
        np.array([int(part[0]) for part in parts]),
        np.array([int(part[1]) for part in parts]),
        [part[2] for part in parts],
    )
    test = options.test or ["test_108"]
    return Table(space, cells, columns, options.validation or "validation_108", test, keys, repeats)


def _read_arrays(space: SearchSpace[Any], file: Path, options: Nasbench101Options) -> Table:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file raises a dozen types
        raise InputError(f"cannot read {file} ({quote(error)})") from None
    accuracies = [name for name in arrays if "acc" in name]
    missing = [name for name in ARRAYS if name not in arrays]
    if missing or not accuracies:
        raise InputError(
            f"{file} is not a table of NAS-Bench-101: no array "
            f"{', '.join(missing) or 'whose name contains acc'}"
        )
    _check_cells(file, *(arrays[name] for name in ARRAYS))
    columns = {}
    for name in accuracies:
        if arrays[name].shape != arrays[ARRAYS[0]].shape or arrays[name].dtype.kind not in "fiu":
            raise InputError(f"{file}: {name} does not hold one accuracy per cell")
        columns[name] = arrays[name].astype(float)
    cells = _Cells(arrays["n_vertices"], arrays["adj_bits"], _digits(arrays["ops"], arrays))
    validation = options.validation or next(iter(columns))
    test = options.test or [validation]
    return Table(space, cells, columns, validation, test, cells.keys())


def _check_cells(
    file: Path, vertices: np.ndarray, bits: np.ndarray, operations: np.ndarray
) -> None:
    """Refuse arrays that describe no cells; whether they are connected is seen when they are used.

    Raises:
        InputError: a size, a type or a value is not one of the format.
    """
    sizes = vertices.ndim == 1 and vertices.shape == bits.shape == operations.shape
    kinds = (vertices.dtype.kind, bits.dtype.kind, operations.dtype.kind)
    if not sizes or not set(kinds[:2]) <= set("iu") or kinds[2] != "U":
        raise InputError(f"{file}: {', '.join(ARRAYS)} are not integers, integers and texts, (n,)")
    width = operations.dtype.itemsize // 4
    digits = operations.astype(f"<U{width}").view("<U1").reshape(len(operations), width)
    within = np.arange(width) < vertices[:, None] - 2
    right = (
        ((vertices >= 2) & (vertices <= MAX_VERTICES)).all()
        and ((bits >= 0) & (bits < 1 << (MAX_VERTICES * (MAX_VERTICES - 1) // 2))).all()
        and (within.sum(1) == vertices - 2).all()
        and np.isin(digits[within], [str(number) for number in range(len(OPERATIONS))]).all()
    )
    if not right:
        raise InputError(f"{file}: {', '.join(ARRAYS)} hold values that describe no cell")


def _digits(operations: np.ndarray, arrays: dict[str, np.ndarray]) -> list[str]:
    """Return the interior operations of each row as digits, without the padding of the array."""
    interior = (arrays["n_vertices"].astype(int) - 2).tolist()
    return [
        "".join(map(str, row[:count]))
        for row, count in zip(operations.tolist(), interior, strict=True)
    ]


BENCHMARKS.add(
    BenchmarkRecord(
        name="nasbench101",
        read=read_nasbench101,
        options=Nasbench101Options,
        source="Ying et al., ICML 2019, arXiv 1902.09635",
    )
)
