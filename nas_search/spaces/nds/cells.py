"""The cells of NASNet, Amoeba, PNAS, ENAS and DARTS as network design spaces.

Source: Radosavovic et al., ICCV 2019, arXiv 1905.13214.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, CellEdge, CellGraph, SearchSpace, SpaceRecord
from nas_search.spaces.cell_graph import Expression, Sum, add
from nas_search.spaces.darts.cost import cell_parts
from nas_search.spaces.darts.genotype import Cell, Edge
from nas_search.spaces.darts.network import DartsCell, DartsMacro
from nas_search.spaces.nds.cell_network import NdsCellNetwork
from nas_search.spaces.nds.families import CELL_FAMILIES, DEPTHS, WIDTHS
from nas_search.spaces.nds.operations import operation
from nas_search.spaces.nds.sizes import SMALLEST_IMAGE, NdsMacro
from nas_search.spaces.operation_graph import (
    CellKind,
    Operation,
    OperationGraph,
    expression_graph,
)
from nas_search.spaces.operations import edge_operations
from nas_search.spaces.parts import Part
from nas_search.spaces.text_form import last_name, read_fields, read_tree

LEAST_CELLS = 3
_STRIDED = "/2"
_NAMES = ("normal", "reduce")
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_EXAMPLE = "Network(width=16, depth=8, genotype=Genotype(normal=[('sep_conv_3x3', 0), ...], ...))"


@dataclass(frozen=True)
class NdsCells:
    """Two cells and the sizes of their network.

    Attributes:
        width: channels of a node in the first cells.
        depth: number of cells.
        normal: two edges per node, for nodes 2, 3, ... in order.
        reduce: the same of the reduction cell.
        normal_concat: the nodes that are concatenated; they follow from the edges.
        reduce_concat: the same of the reduction cell.
    """

    width: int
    depth: int
    normal: tuple[Edge, ...]
    reduce: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce_concat: tuple[int, ...]

    def __str__(self) -> str:
        cells = ", ".join(f"{name}={list(getattr(self, name))}" for name in _FIELDS)
        return f"Network(width={self.width}, depth={self.depth}, genotype=Genotype({cells}))"

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """The normal and the reduction cell."""
        return (self.normal, self.normal_concat), (self.reduce, self.reduce_concat)


@dataclass(frozen=True)
class NdsCellsOptions:
    """Keyword arguments of :class:`NdsCellsSpace`.

    Attributes:
        family: ``amoeba``, ``darts``, ``enas``, ``nasnet`` or ``pnas``.
    """

    family: str = "darts"


class NdsCellsSpace(SearchSpace[NdsCells]):
    """All pairs of cells of one family, of five depths and three widths.

    Each of a node's two edges reads any node before it, the same one as the other edge too.

    Raises:
        InputError: there is no such family.
    """

    name = "nds_cells"

    def __init__(self, family: str = "darts") -> None:
        if family not in CELL_FAMILIES:
            raise InputError(
                f"search_space.family: unknown {quote(family)}{did_you_mean(family, CELL_FAMILIES)}"
                f"; possible: {', '.join(CELL_FAMILIES)}"
            )
        self.family = CELL_FAMILIES[family]
        names = tuple(one for one in self.family.operations if one != "none")
        nodes = 3 + self.family.nodes
        self.cells = tuple(
            CellKind(name, ("older_input", "newer_input"), names, nodes, _groups(names))
            for name in _NAMES
        )
        self._sources = [2 + edge // 2 for edge in range(2 * self.family.nodes)]

    @property
    def cell_size(self) -> int:
        """Number of cells, as published: of each edge, operations times nodes before it."""
        return math.prod(len(self.family.operations) * count for count in self._sources)

    @property
    def size(self) -> int:
        """Pairs of cells, times depths and widths."""
        return len(DEPTHS) * len(WIDTHS) * self.cell_size**2

    def sample(self, rng: np.random.Generator) -> NdsCells:
        """Return a genotype drawn uniformly: all choices are independent."""
        names = self.family.operations
        cells = []
        for _ in _NAMES:
            drawn = rng.integers([(len(names), count) for count in self._sources]).tolist()
            cells.append(tuple((names[name], source) for name, source in drawn))
        width, depth = (values[int(rng.integers(len(values)))] for values in (WIDTHS, DEPTHS))
        return self._made(width, depth, cells[0], cells[1])

    def neighbors(self, genotype: NdsCells) -> Iterator[NdsCells]:
        """Yield the genotypes that differ in one operation, one input, the width or the depth."""
        for move in self._moves(genotype):
            yield self._moved(genotype, *move)

    def mutate(self, genotype: NdsCells, rng: np.random.Generator) -> NdsCells:
        """Return one of the neighbors, drawn uniformly."""
        moves = self._moves(genotype)
        return self._moved(genotype, *moves[int(rng.integers(len(moves)))])

    def _moves(self, genotype: NdsCells) -> list[tuple[str, int, Any]]:
        """Return what may change: a field, a position of an edge in it, and the new value."""
        moves: list[tuple[str, int, Any]] = []
        for field, values in (("width", WIDTHS), ("depth", DEPTHS)):
            own = getattr(genotype, field)
            moves += [(field, 0, value) for value in values if value != own]
        for field in _NAMES:
            for position, (name, source) in enumerate(getattr(genotype, field)):
                others = (one for one in self.family.operations if one != name)
                moves += [(field, position, (one, source)) for one in others]
                sources = (one for one in range(self._sources[position]) if one != source)
                moves += [(field, position, (name, one)) for one in sources]
        return moves

    def _moved(self, genotype: NdsCells, field: str, position: int, value: Any) -> NdsCells:
        if field not in _NAMES:
            return replace(genotype, **{field: value})
        cells = {name: list(getattr(genotype, name)) for name in _NAMES}
        cells[field][position] = value
        return self._made(genotype.width, genotype.depth, *map(tuple, cells.values()))

    def crossover(self, first: NdsCells, second: NdsCells, rng: np.random.Generator) -> NdsCells:
        """Return a child that takes each node, the width and the depth from a random parent."""
        parents = (first, second)
        cells = []
        for field in _NAMES:
            coins = rng.integers(2, size=self.family.nodes).tolist()
            pairs = (getattr(parents[c], field)[2 * n : 2 * n + 2] for n, c in enumerate(coins))
            cells.append(tuple(edge for pair in pairs for edge in pair))
        width, depth = (parents[int(coin)] for coin in rng.integers(2, size=2))
        return self._made(width.width, depth.depth, cells[0], cells[1])

    def parse(self, text: str) -> NdsCells:
        """Return the genotype written as ``Network(width=16, depth=8, genotype=Genotype(...))``.

        Raises:
            InputError: it is not written so, or not in the family; widths and depths may be others.
        """
        tree = read_tree(text, _fail)
        if not (isinstance(tree, ast.Call) and last_name(tree.func) == "Network"):
            _fail("", f"expected {_EXAMPLE}, got {quote(text)}")
        given = read_fields(tree, ("width", "depth", "genotype"), _fail)
        inner = given["genotype"]
        if not (isinstance(inner, ast.Call) and last_name(inner.func) == "Genotype"):
            _fail("genotype", f"expected Genotype(...) as in {_EXAMPLE}")
        values = {key: _literal(key, given[key]) for key in ("width", "depth")}
        fields = read_fields(inner, _FIELDS, _fail)
        values["genotype"] = {key: _literal(key, fields[key]) for key in _FIELDS}
        return self.from_net(values)

    def from_net(self, net: Mapping[str, Any]) -> NdsCells:
        """Return the genotype of a ``net`` of the published files.

        Raises:
            InputError: something is missing, or not in the family.
        """
        genotype = net.get("genotype")
        if not isinstance(genotype, Mapping):
            _fail("", "the net has no genotype; it is of no cells (search_space=nds_residual?)")
        sizes = {}
        for field, least in (("width", 1), ("depth", LEAST_CELLS)):
            value = net.get(field)
            if type(value) is not int or not least <= value <= 1024:
                _fail(field, f"expected an integer of {least} to 1024, got {quote(value)}")
            sizes[field] = value
        cells = {name: self._edges(name, genotype.get(name)) for name in _NAMES}
        made = self._made(sizes["width"], sizes["depth"], **cells)
        for name in _NAMES:
            concat, own = genotype.get(f"{name}_concat"), getattr(made, f"{name}_concat")
            if not isinstance(concat, Sequence) or sorted(concat, key=repr) != list(own):
                which = "nodes that no other reads" if self.family.loose else "all nodes"
                _fail(f"{name}_concat", f"expected {which}, {list(own)}, got {quote(concat)}")
        return made

    def _edges(self, where: str, value: object) -> tuple[Edge, ...]:
        count = len(self._sources)
        if not isinstance(value, Sequence) or len(value) != count:
            _fail(where, f"expected {count} edges, two for each of {count // 2} nodes")
        edges: list[Edge] = []
        for position, edge in enumerate(value):
            if not isinstance(edge, list | tuple) or len(edge) != 2:
                _fail(f"{where}[{position}]", f"expected ('operation', node), got {quote(edge)}")
            name, source = edge
            if name not in self.family.operations:
                possible = ", ".join(self.family.operations)
                _fail(
                    f"{where}[{position}]",
                    f"unknown operation {quote(name)}; this family has {possible}",
                )
            if type(source) is not int or not 0 <= source < self._sources[position]:
                _fail(
                    f"{where}[{position}]",
                    f"node {2 + position // 2} reads a node before it, got {quote(source)}",
                )
            edges.append((name, source))
        return tuple(edges)

    def _made(
        self, width: int, depth: int, normal: tuple[Edge, ...], reduce: tuple[Edge, ...]
    ) -> NdsCells:
        concats = (self._concat(edges) for edges in (normal, reduce))
        return NdsCells(width, depth, normal, reduce, *concats)

    def _concat(self, edges: tuple[Edge, ...]) -> tuple[int, ...]:
        nodes = range(2, 2 + self.family.nodes)
        read = {source for _, source in edges} if self.family.loose else set()
        return tuple(node for node in nodes if node not in read)

    def canonical(self, genotype: NdsCells) -> str:
        """Return width, depth and both cells' certificates; ``dead`` if no image reaches the end.

        As in DARTS (:meth:`nas_search.spaces.darts.space.DartsSpace.canonical`).
        """
        (normal, uses), (reduce, reduce_uses) = _certificates(genotype)
        if not uses or (not reduce_uses and 0 not in uses):
            return "dead"
        return f"{genotype.width}x{genotype.depth} normal: {normal}; reduce: {reduce}"

    def build(
        self,
        genotype: NdsCells,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`NdsMacro`."""
        depth, width = _sizes(genotype, input_shape, num_classes, macro)
        return NdsCellNetwork(*genotype.cells, depth, width, input_shape[0], num_classes)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations on the edges of all cells, without identities."""
        return edge_operations(network, DartsCell)

    def parts(
        self,
        genotype: NdsCells,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return stem, preprocessing, operations and head."""
        depth, width = _sizes(genotype, input_shape, num_classes, macro)
        skeleton = DartsMacro(depth, width)
        return cell_parts(*genotype.cells, input_shape, num_classes, skeleton, operation)

    def graphs(self, genotype: NdsCells) -> tuple[CellGraph, ...]:
        """Return both cells to draw; edges into the output have no label."""
        inputs, output = ("cell k-2", "cell k-1"), "cell k"
        nodes = (*inputs, *(str(node) for node in range(self.family.nodes)), output)
        drawn = []
        for name, (edges, concat) in zip(_NAMES, genotype.cells, strict=True):
            lines = [
                CellEdge(nodes[source], nodes[2 + position // 2], operation)
                for position, (operation, source) in enumerate(edges)
                if operation != "none"
            ]
            lines += [CellEdge(nodes[node], output, "") for node in concat]
            drawn.append(CellGraph(name, inputs, output, nodes, tuple(lines)))
        return tuple(drawn)

    def operation_graphs(self, genotype: NdsCells) -> tuple[OperationGraph, ...]:
        """Return both cells; in the reduction cell, an operation of stride 2 keeps its name."""
        if self.canonical(genotype) == "dead":
            return (), ()
        graphs = []
        for kind, (edges, concat) in zip(self.cells, genotype.cells, strict=True):
            expression, outputs = _expression(edges, concat, kind.name == "reduce")
            graph = expression_graph(expression, outputs, kind, "skip_connect")
            plain = (Operation(o.name.removesuffix(_STRIDED), o.sources, o.target) for o in graph)
            graphs.append(tuple(plain))
        return tuple(graphs)


def _groups(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the families of operations that some of ``names`` belong to."""
    kinds = {"pooling": "pool", "separable": "sep_conv", "convolution": "conv"}
    groups = {kind: tuple(n for n in names if part in n) for kind, part in kinds.items()}
    groups["parameter_free"] = tuple(n for n in names if "conv" not in n)
    return {kind: members for kind, members in groups.items() if len(members) > 1}


def _certificates(genotype: NdsCells) -> list[tuple[str, frozenset[int]]]:
    return [
        _certificate(edges, concat, reduction)
        for reduction, (edges, concat) in zip((False, True), genotype.cells, strict=True)
    ]


@lru_cache(maxsize=65536)
def _certificate(
    edges: tuple[Edge, ...], concat: tuple[int, ...], reduction: bool
) -> tuple[str, frozenset[int]]:
    expression, outputs = _expression(edges, concat, reduction)
    return expression.certificate(outputs), expression.used_inputs(outputs)


def _expression(
    edges: tuple[Edge, ...], concat: tuple[int, ...], reduction: bool
) -> tuple[Expression, list[Sum]]:
    """Return a cell, and the sums that its output concatenates."""
    expression = Expression()
    nodes: list[Sum] = [Expression.cell_input(0), Expression.cell_input(1)]
    for start in range(0, len(edges), 2):
        terms: list[Sum] = []
        for name, source in edges[start : start + 2]:
            strided = reduction and source < 2
            if name == "skip_connect" and not strided:
                terms.append(nodes[source])
            elif name != "none":
                label = f"{name}{_STRIDED}" if strided else name
                terms.append(expression.apply(label, nodes[source]))
        nodes.append(add(*terms))
    return expression, [nodes[node] for node in concat]


def _sizes(
    genotype: NdsCells,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Mapping[str, Any],
) -> tuple[int, int]:
    """Return the number of cells and the channels of the first."""
    sizes = read_macro(NdsMacro, macro)
    check_problem(input_shape, num_classes, SMALLEST_IMAGE, "a network with two reductions")
    return sizes.deep(genotype.depth, LEAST_CELLS), sizes.wide(genotype.width)


def _literal(where: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        _fail(where, "expected plain names and numbers")


def _fail(where: str, what: str) -> NoReturn:
    raise InputError(f"nds_cells{', ' + where if where else ''}: {what}")


SPACES.add(
    SpaceRecord(
        name="nds_cells",
        space=NdsCellsSpace,
        macro=NdsMacro,
        source="Radosavovic et al., ICCV 2019, arXiv 1905.13214",
        options=NdsCellsOptions,
        narrow={"width_factor": 0.001, "depth_factor": 0.001},
    )
)
