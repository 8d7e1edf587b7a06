"""The genotype of NAS-Bench-101: dataclass and text form, the benchmark's ``ModelSpec``.

Source: Ying et al., ICML 2019, arXiv 1902.09635; github.com/google-research/nasbench.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.nasbench101.graph import (
    MAX_EDGES,
    MAX_VERTICES,
    OPERATIONS,
    CellGraph101,
    prune,
)
from nas_search.spaces.text_form import last_name, read_fields, read_tree

INPUT, OUTPUT = "input", "output"

_EXAMPLE = (
    "ModelSpec(matrix=[[0, 1, 0], [0, 0, 1], [0, 0, 0]], ops=['input', 'maxpool3x3', 'output'])"
)
_FIELDS = ("matrix", "ops")
# The names of the operations in the examples of the benchmark.
_CONSTANTS = {
    "INPUT": INPUT,
    "OUTPUT": OUTPUT,
    "CONV3X3": OPERATIONS[0],
    "CONV1X1": OPERATIONS[1],
    "MAXPOOL3X3": OPERATIONS[2],
}


@dataclass(frozen=True)
class Nasbench101Genotype:
    """A cell before pruning; ``str`` gives the benchmark's ``ModelSpec`` form.

    Attributes:
        matrix: adjacency, upper triangular: ``matrix[x][y]`` is 1 if vertex x feeds vertex y.
        ops: one name per vertex: ``input``, the interior operations, ``output``.

    Raises:
        InputError: invalid matrix or operations, no path from input to output, or more than 9
            edges after pruning; the message locates the error.
    """

    matrix: tuple[tuple[int, ...], ...]
    ops: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", _check_ops(self.ops))
        object.__setattr__(self, "matrix", _check_matrix(self.matrix, len(self.ops)))
        pruned = prune(self.graph)
        if pruned is None:
            _fail("matrix", "no path leads from the input to the output")
        if pruned.edges > MAX_EDGES:
            _fail("matrix", f"{pruned.edges} edges after pruning, at most {MAX_EDGES} are allowed")

    def __repr__(self) -> str:
        return f"ModelSpec(matrix={[list(row) for row in self.matrix]}, ops={list(self.ops)})"

    @property
    def graph(self) -> CellGraph101:
        """The cell as a graph, before pruning."""
        return CellGraph101(
            tuple(
                tuple(x for x in range(y) if self.matrix[x][y]) for y in range(1, len(self.matrix))
            ),
            tuple(OPERATIONS.index(name) for name in self.ops[1:-1]),
        )


def from_graph(graph: CellGraph101, vertices: int | None = None) -> Nasbench101Genotype:
    """Return ``graph`` as a genotype.

    Args:
        graph: a graph, pruned or not.
        vertices: number of vertices of the genotype; if larger than the graph, unconnected 3x3
            convolutions are added before the output. Pruning removes them.
    """
    count, last = graph.vertices, graph.vertices - 1
    size = vertices or count
    matrix = [[0] * size for _ in range(size)]
    for y, feeding in enumerate(graph.sources, 1):
        for x in feeding:
            matrix[x][size - 1 if y == last else y] = 1
    names = [OPERATIONS[operation] for operation in graph.operations]
    names += [OPERATIONS[0]] * (size - count)
    return Nasbench101Genotype(tuple(map(tuple, matrix)), (INPUT, *names, OUTPUT))


def parse(text: str) -> Nasbench101Genotype:
    r"""Return the genotype written as ``ModelSpec(matrix=[[0, 1, ...], ...], ops=['input', ...])``.

    ``api.ModelSpec``, ``np.array(...)``, line breaks, comments, matrices as numpy prints them
    (``[[0 1]\n [0 0]]``) and the constants of the benchmark's examples (``CONV3X3``) are accepted
    too. The text is never evaluated.

    Raises:
        InputError: the text is not a genotype; the message locates the error.
    """
    tree = read_tree(text, _fail, _with_commas)
    if not (isinstance(tree, ast.Call) and last_name(tree.func) == "ModelSpec"):
        _fail("", f"got {quote(text)}; write it like {_EXAMPLE}")
    given = read_fields(tree, _FIELDS, _fail)
    return Nasbench101Genotype(**{field: _items(field, given[field]) for field in _FIELDS})


def _with_commas(text: str) -> str:
    """Insert the commas between numbers and rows that numpy does not print."""
    return re.sub(r"(?<=[01.\]])\s+(?=[01\[])", ", ", text)


def _items(field: str, node: ast.expr) -> tuple[Any, ...]:
    """Read nested lists of constants and of the benchmark's names."""
    if not isinstance(node, ast.List | ast.Tuple):
        _fail(field, "expected a list")
    values: list[Any] = []
    for item in node.elts:
        if isinstance(item, ast.Constant):
            values.append(item.value)
        elif last_name(item) in _CONSTANTS:
            values.append(_CONSTANTS[last_name(item)])
        elif field == "matrix" and isinstance(item, ast.List | ast.Tuple):
            values.append(_items("matrix row", item))
        else:
            _fail(field, "expected plain names and numbers")
    return tuple(values)


def _check_ops(value: Sequence[object]) -> tuple[str, ...]:
    ops = tuple(value)
    if not 2 <= len(ops) <= MAX_VERTICES:
        _fail("ops", f"expected 2 to {MAX_VERTICES} vertices, got {len(ops)}")
    for index, expected in ((0, INPUT), (-1, OUTPUT)):
        if ops[index] != expected:
            which = "first" if index == 0 else "last"
            _fail("ops", f"expected {expected!r} as the {which}, got {quote(ops[index])}")
    for index, name in enumerate(ops[1:-1], 1):
        if name not in OPERATIONS:
            _fail(
                f"ops[{index}]",
                f"unknown operation {quote(name)}; possible: {', '.join(OPERATIONS)}",
            )
    return tuple(map(str, ops))  # numpy's strings print differently


def _check_matrix(value: Sequence[Sequence[object]], vertices: int) -> tuple[tuple[int, ...], ...]:
    if len(value) != vertices:
        _fail("matrix", f"expected {vertices} rows, one for each of ops, got {len(value)}")
    rows: list[tuple[int, ...]] = []
    for x, row in enumerate(value):
        entries = tuple(row) if isinstance(row, Iterable) and not isinstance(row, str) else ()
        if len(entries) != vertices:
            _fail(f"matrix[{x}]", f"expected a row of {vertices} numbers, got {quote(row)}")
        checked: list[int] = []
        for y, entry in enumerate(entries):
            if not (isinstance(entry, Real) and entry in (0, 1)):
                _fail(f"matrix[{x}][{y}]", f"expected 0 or 1, got {quote(entry)}")
            if entry and y <= x:
                _fail(f"matrix[{x}][{y}]", "an edge must lead to a later vertex")
            checked.append(int(entry == 1))
        rows.append(tuple(checked))
    return tuple(rows)


def _fail(where: str, what: str) -> NoReturn:
    raise InputError(f"nasbench101 cell{', ' + where if where else ''}: {what}")
