"""The genotype of the DARTS space: its dataclass, its text form, the published cells.

Source: Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.text_form import last_name, read_fields, read_tree, unwrap

OPERATIONS: tuple[str, ...] = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The eight published operations."""

NODES = 4
"""Nodes of a cell, numbered 2 to 5; nodes 0 and 1 are the outputs of the two cells before it."""

CELLS: tuple[str, ...] = ("normal", "reduce")
"""The fields of a genotype that hold a cell's edges."""

Edge = tuple[str, int]
"""(operation, node that it reads); edges 2k and 2k + 1 of a cell lead into node k + 2."""

Cell = tuple[tuple[Edge, ...], tuple[int, ...]]
"""Edges, and the nodes that are concatenated."""


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell; ``str`` gives the published text form.

    Attributes:
        normal: eight edges, two per node, for nodes 2 to 5 in order.
        normal_concat: the nodes whose concatenated values are the output of the cell.
        reduce: the same for the reduction cell.
        reduce_concat: the same for the reduction cell.

    Raises:
        InputError: an edge or a concatenation is not in the space; the message locates it.
    """

    normal: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[Edge, ...]
    reduce_concat: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in CELLS:
            edges, concat = f"{name}", f"{name}_concat"
            object.__setattr__(self, edges, _check_edges(name, getattr(self, edges)))
            object.__setattr__(self, concat, _check_concat(concat, getattr(self, concat)))

    def __repr__(self) -> str:
        return (
            f"Genotype(normal={list(self.normal)}, normal_concat={list(self.normal_concat)}, "
            f"reduce={list(self.reduce)}, reduce_concat={list(self.reduce_concat)})"
        )


def parse(text: str) -> Genotype:
    """Return the genotype written as ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``.

    Lists, tuples, ``range(2, 6)``, line breaks and the names of :data:`PUBLISHED` (``DARTS_V2``,
    ``PC-DARTS``, ``p_darts``) are accepted too, and what programs print (``genotype = ...``,
    ``genotypes.Genotype(...)``, ``np.int64(1)``). The text is never evaluated.

    Raises:
        InputError: the text is not a genotype; the message locates the error.
    """
    name = unwrap(text).upper().replace("-", "_")
    if name in PUBLISHED:
        return PUBLISHED[name]
    tree = read_tree(text, _fail)
    if not (isinstance(tree, ast.Call) and last_name(tree.func) == "Genotype"):
        _fail("", f"expected Genotype(...) or one of {', '.join(PUBLISHED)}, got {quote(text)}")
    fields = ("normal", "normal_concat", "reduce", "reduce_concat")
    given = read_fields(tree, fields, _fail)
    values = {field: _items(field, given[field]) for field in fields}
    return Genotype(**values)  # type: ignore[arg-type]  # checked by Genotype itself


def _items(where: str, node: ast.expr) -> tuple[object, ...]:
    """Read a literal list, tuple or range of constants and nested tuples."""
    if isinstance(node, ast.Call):
        try:
            bounds = [ast.literal_eval(argument) for argument in node.args]
        except (ValueError, TypeError, SyntaxError, RecursionError):
            bounds = []
        is_range = isinstance(node.func, ast.Name) and node.func.id == "range"
        if not is_range or node.keywords or not 1 <= len(bounds) <= 2:
            _fail(where, "expected a list of nodes or range(2, 6)")
        if not all(type(bound) is int and 0 <= bound <= 10 for bound in bounds):
            _fail(where, "expected a list of nodes or range(2, 6)")
        return tuple(range(*bounds))
    if not isinstance(node, ast.List | ast.Tuple):
        _fail(where, "expected a list")
    try:
        return tuple(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, RecursionError):
        _fail(where, "expected plain names and numbers")


def _check_edges(name: str, value: Sequence[object]) -> tuple[Edge, ...]:
    edges = tuple(value)
    if len(edges) != 2 * NODES:
        _fail(name, f"expected {2 * NODES} edges, two for each of {NODES} nodes, got {len(edges)}")
    checked: list[Edge] = []
    for position, edge in enumerate(edges):
        if not (isinstance(edge, tuple | list) and len(edge) == 2):
            _fail(f"{name}[{position}]", f"expected ('operation', node), got {quote(edge)}")
        operation, source = edge
        if operation not in OPERATIONS:
            _fail(
                f"{name}[{position}]",
                f"unknown operation {quote(operation)}; possible: {', '.join(OPERATIONS)}",
            )
        target = 2 + position // 2
        if type(source) is not int or not 0 <= source < target:
            _fail(
                f"{name}[{position}]",
                f"node {target} reads a node from 0 to {target - 1}, got {quote(source)}",
            )
        checked.append((operation, source))
    return tuple(checked)


def _check_concat(name: str, value: Sequence[object]) -> tuple[int, ...]:
    concat = tuple(value)
    if not concat or len(set(concat)) < len(concat):
        _fail(name, f"expected different nodes, at least one, got {quote(list(concat))}")
    checked: list[int] = []
    for node in concat:
        if type(node) is not int or not 2 <= node < 2 + NODES:
            _fail(name, f"expected nodes from 2 to {1 + NODES}, got {quote(node)}")
        checked.append(node)
    return tuple(checked)


def _fail(where: str, what: str) -> NoReturn:
    raise InputError(f"DARTS genotype{', ' + where if where else ''}: {what}")


_ALL = (2, 3, 4, 5)


def _published(normal: str, reduce: str) -> Genotype:
    """Read two cells in a short form: operation and input node of eight edges, space-separated."""

    def edges(text: str) -> tuple[Edge, ...]:
        words = text.split()
        return tuple(zip(words[::2], map(int, words[1::2]), strict=True))

    return Genotype(edges(normal), _ALL, edges(reduce), _ALL)


PUBLISHED: dict[str, Genotype] = {
    # Liu et al. 2019, first order
    "DARTS_V1": _published(
        "sep_conv_3x3 1 sep_conv_3x3 0 skip_connect 0 sep_conv_3x3 1 "
        "skip_connect 0 sep_conv_3x3 1 sep_conv_3x3 0 skip_connect 2",
        "max_pool_3x3 0 max_pool_3x3 1 skip_connect 2 max_pool_3x3 0 "
        "max_pool_3x3 0 skip_connect 2 skip_connect 2 avg_pool_3x3 0",
    ),
    # Liu et al. 2019, second order: 3.3 M parameters at 20 cells and 36 channels
    "DARTS_V2": _published(
        "sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 0 sep_conv_3x3 1 "
        "sep_conv_3x3 1 skip_connect 0 skip_connect 0 dil_conv_3x3 2",
        "max_pool_3x3 0 max_pool_3x3 1 skip_connect 2 max_pool_3x3 1 "
        "max_pool_3x3 0 skip_connect 2 skip_connect 2 max_pool_3x3 1",
    ),
    # Xu et al. 2020 (arXiv 1907.05737), found on CIFAR-10: 3.6 M
    "PC_DARTS": _published(
        "sep_conv_3x3 1 skip_connect 0 sep_conv_3x3 0 dil_conv_3x3 1 "
        "sep_conv_5x5 0 sep_conv_3x3 1 avg_pool_3x3 0 dil_conv_3x3 1",
        "sep_conv_5x5 1 max_pool_3x3 0 sep_conv_5x5 1 sep_conv_5x5 2 "
        "sep_conv_3x3 0 sep_conv_3x3 3 sep_conv_3x3 1 sep_conv_3x3 2",
    ),
    # Chen et al. 2019 (arXiv 1904.12760), found on CIFAR-10: 3.4 M
    "P_DARTS": _published(
        "skip_connect 0 dil_conv_3x3 1 skip_connect 0 sep_conv_3x3 1 "
        "sep_conv_3x3 1 sep_conv_3x3 3 sep_conv_3x3 0 dil_conv_5x5 4",
        "avg_pool_3x3 0 sep_conv_5x5 1 sep_conv_3x3 0 dil_conv_5x5 2 "
        "max_pool_3x3 0 dil_conv_3x3 1 dil_conv_3x3 1 dil_conv_5x5 3",
    ),
}
"""Published cells by name, verified against their authors' repositories."""
