"""The DARTS search space: a normal and a reduction cell, four nodes of two inputs each.

Sources: Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055 (the space); Real et al., AAAI 2019,
arXiv 1802.01548 (the mutation).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from torch import nn

from nas_search.core.errors import InputError
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import (
    SPACES,
    CellEdge,
    CellGraph,
    Parameter,
    SearchSpace,
    SpaceRecord,
)
from nas_search.spaces.cell_graph import Expression, Sum, add
from nas_search.spaces.darts import genotype as genotypes
from nas_search.spaces.darts.cost import network_parts, network_segments
from nas_search.spaces.darts.genotype import CELLS, NODES, OPERATIONS, Edge, Genotype
from nas_search.spaces.darts.moves import input_moves, operation_moves, replace_edge
from nas_search.spaces.darts.network import (
    SMALLEST_AUXILIARY_IMAGE,
    SMALLEST_IMAGE,
    DartsCell,
    DartsMacro,
    DartsNetwork,
)
from nas_search.spaces.darts.stacked import StackedDartsNetwork
from nas_search.spaces.operation_graph import (
    CellKind,
    Operation,
    OperationGraph,
    expression_graph,
)
from nas_search.spaces.operations import edge_operations
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment
from nas_search.stacked.network import Pool, StackedNetwork

_CONCAT = tuple(range(2, 2 + NODES))
_PAIRS = tuple(tuple(itertools.combinations(range(2 + node), 2)) for node in range(NODES))
_STRIDED = "/2"
"""Ends the label of an operation of stride 2."""
_FAMILIES = {
    "pooling": ("max_pool_3x3", "avg_pool_3x3"),
    "separable": ("sep_conv_3x3", "sep_conv_5x5"),
    "dilated": ("dil_conv_3x3", "dil_conv_5x5"),
    "convolution": ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
    "parameter_free": ("max_pool_3x3", "avg_pool_3x3", "skip_connect"),
}


class DartsSpace(SearchSpace[Genotype]):
    """All pairs of cells whose nodes have two different inputs each.

    Args:
        operations: operations for sampling and mutation. The default excludes ``none``, which the
            published derivation never picks; the space then has (180 * 7^8)^2 = 1.1e18 genotypes.

    Genotypes from :meth:`sample` have the inputs of each node in ascending order, and
    :meth:`mutate` and :meth:`crossover` preserve this. Any other genotype (other order, equal
    inputs, ``none``, other concatenation) can be parsed, mutated and built too.

    Raises:
        InputError: no operation, a repeated one, or one that DARTS does not have.
    """

    name = "darts"
    cells = tuple(
        CellKind(name, ("older_input", "newer_input"), OPERATIONS[1:], 3 + NODES, _FAMILIES)
        for name in CELLS
    )

    def __init__(self, operations: Sequence[str] = OPERATIONS[1:]) -> None:
        self.operations = tuple(operations)
        for operation in self.operations:
            if operation not in OPERATIONS:
                raise InputError(
                    f"darts has no operation {operation!r}; possible: {', '.join(OPERATIONS)}"
                )
        if not self.operations or len(set(self.operations)) < len(self.operations):
            raise InputError("darts needs at least one operation, each named once")
        count = len(self.operations)
        # Upper bounds for the genes of a genotype: per node the input pair and two operations.
        self._highs = np.array([(len(pairs), count, count) for pairs in _PAIRS] * 2)

    @property
    def size(self) -> int:
        """Product over both cells and all nodes of input pairs times operations squared."""
        cell = math.prod(len(pairs) * len(self.operations) ** 2 for pairs in _PAIRS)
        return int(cell**2)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Return a genotype drawn uniformly: input pairs and operations are independent."""
        edges: list[Edge] = []
        for node, (pair, left, right) in enumerate(rng.integers(self._highs).tolist()):
            low, high = _PAIRS[node % NODES][pair]
            edges.append((self.operations[left], low))
            edges.append((self.operations[right], high))
        return Genotype(tuple(edges[: 2 * NODES]), _CONCAT, tuple(edges[2 * NODES :]), _CONCAT)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Return the genotype with one operation or one input of one node replaced by another.

        Both kinds have equal probability; then an edge is drawn uniformly among those that have an
        alternative, then the alternative (Real et al., section "Methods"). A node never gets the
        same input twice, so node 2, which has only two possible inputs, keeps them.

        Raises:
            InputError: the genotype has no neighbor in the space.
        """
        kinds = (operation_moves(genotype, self.operations), input_moves(genotype))
        kind = int(rng.integers(2))
        moves = kinds[kind] or kinds[1 - kind]
        if not moves:
            raise InputError("darts with one operation has no mutation of this genotype")
        cell, position, alternatives = moves[int(rng.integers(len(moves)))]
        edge = alternatives[int(rng.integers(len(alternatives)))]
        return replace_edge(genotype, cell, position, edge)

    def crossover(self, first: Genotype, second: Genotype, rng: np.random.Generator) -> Genotype:
        """Return a child that takes each node of each cell, with both edges, from a random parent.

        The concatenation of a cell comes from a random parent too.
        """
        coins = rng.integers(2, size=(2, NODES + 1)).tolist()
        parents = (first, second)
        cells: list[Any] = []
        for name, coin in zip(CELLS, coins, strict=True):
            nodes = [
                getattr(parents[coin[node]], name)[2 * node : 2 * node + 2] for node in range(NODES)
            ]
            cells += [sum(nodes, ()), getattr(parents[coin[NODES]], f"{name}_concat")]
        return Genotype(*cells)

    def neighbors(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yield the genotypes one mutation away: 144 with seven operations and different inputs."""
        yielded: set[Genotype] = set()
        for cell, position, alternatives in (
            *operation_moves(genotype, self.operations),
            *input_moves(genotype),
        ):
            for edge in alternatives:
                neighbor = replace_edge(genotype, cell, position, edge)
                if neighbor not in yielded:
                    yielded.add(neighbor)
                    yield neighbor

    def parse(self, text: str) -> Genotype:
        """Return the genotype written as ``text``, or the published one of that name.

        See :func:`nas_search.spaces.darts.genotype.parse`.
        """
        return genotypes.parse(text)

    def canonical(self, genotype: Genotype) -> str:
        """Return both cells' certificates, or ``"dead"`` if the image cannot reach the output.

        See :mod:`nas_search.spaces.cell_graph`. The order of concatenated nodes is a relabeling; a
        zero node stays in the concatenation, whose width is part of the network. In the reduction
        cell, an edge from a cell input has stride 2: a different operation than at stride 1, and
        not an identity.

        A genotype is dead if the normal cell reads neither input (every chain of 4 or more cells
        ends in a normal cell), or if the reduction cell reads neither and the normal cell cannot
        bypass it.
        """
        normal, uses = _canonical_cell(genotype.normal, genotype.normal_concat, False)
        reduce, reduce_uses = _canonical_cell(genotype.reduce, genotype.reduce_concat, True)
        if _is_dead(uses, reduce_uses):
            return "dead"
        return f"normal: {normal}; reduce: {reduce}"

    def build(
        self,
        genotype: Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`DartsMacro`."""
        sizes = _checked(input_shape, num_classes, macro)
        return DartsNetwork(genotype, sizes, input_shape[0], num_classes)

    def skeleton(self, genotype: Genotype) -> Hashable:
        """Return the numbers of concatenated nodes, which determine all channels."""
        return len(genotype.normal_concat), len(genotype.reduce_concat)

    def build_stacked(
        self,
        genotypes: Sequence[Genotype],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,
        **macro: Any,
    ) -> StackedNetwork:
        """Return one network for candidates with equal numbers of concatenated nodes.

        It has no auxiliary head, which is only for training.
        """
        sizes = _checked(input_shape, num_classes, macro)
        return StackedDartsNetwork(
            genotypes, sizes, input_shape[0], num_classes, pool, include_dead_branches
        )

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations on the edges of all cells, without identities."""
        return edge_operations(network, DartsCell)

    def parts(
        self,
        genotype: Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts; an auxiliary head adds parameters but no MACs."""
        sizes = _checked(input_shape, num_classes, macro)
        return network_parts(genotype, input_shape, num_classes, sizes)

    def segments(
        self,
        genotype: Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Sequence[Segment]:
        """Return how the parts are wired."""
        sizes = _checked(input_shape, num_classes, macro)
        return network_segments(genotype, input_shape, num_classes, sizes)

    def parameters(self, genotype: Genotype) -> Mapping[str, Parameter]:
        """Return operation and input of both edges of each node; not what is concatenated."""
        chosen: dict[str, Parameter] = {}
        for cell in CELLS:
            for position, (operation, source) in enumerate(getattr(genotype, cell)):
                node, edge = 2 + position // 2, "ab"[position % 2]
                inputs = tuple(map(str, range(node)))
                chosen[f"{cell} {node}{edge} operation"] = (operation, OPERATIONS)
                chosen[f"{cell} {node}{edge} input"] = (str(source), inputs)
        return chosen

    def graphs(self, genotype: Genotype) -> tuple[CellGraph, ...]:
        """Return the normal and the reduction cell to draw; edges into the output have no label."""
        inputs, output = ("cell k-2", "cell k-1"), "cell k"  # of papers: c_{k-2}, ...
        nodes = (*inputs, *(str(node) for node in range(NODES)), output)
        graphs: list[CellGraph] = []
        for name in CELLS:
            edges = [
                CellEdge(nodes[source], nodes[2 + position // 2], operation)
                for position, (operation, source) in enumerate(getattr(genotype, name))
                if operation != "none"
            ]
            edges += [
                CellEdge(nodes[n], output, "") for n in sorted(getattr(genotype, f"{name}_concat"))
            ]
            graphs.append(CellGraph(name, inputs, output, nodes, tuple(edges)))
        return tuple(graphs)

    def operation_graphs(self, genotype: Genotype) -> tuple[OperationGraph, ...]:
        """Return both cells; concatenated nodes are wired to the output.

        In the reduction cell, an operation on a cell input has stride 2 and keeps its name.
        """
        normal, uses = _cell_operations(genotype.normal, genotype.normal_concat, False)
        reduce, reduce_uses = _cell_operations(genotype.reduce, genotype.reduce_concat, True)
        return ((), ()) if _is_dead(uses, reduce_uses) else (normal, reduce)


def _checked(
    input_shape: tuple[int, int, int], num_classes: int, macro: Mapping[str, Any]
) -> DartsMacro:
    sizes = read_macro(DartsMacro, macro)
    if sizes.auxiliary:
        smallest, why = SMALLEST_AUXILIARY_IMAGE, "the auxiliary head"
    else:
        smallest, why = SMALLEST_IMAGE, "a network with two reductions"
    check_problem(input_shape, num_classes, smallest, why)
    return sizes


def _is_dead(uses: frozenset[int], reduce_uses: frozenset[int]) -> bool:
    """Whether no chain of cells that read these inputs passes the image on."""
    return not uses or (not reduce_uses and 0 not in uses)


@lru_cache(maxsize=65536)
def _canonical_cell(
    edges: tuple[Edge, ...], concat: tuple[int, ...], reduction: bool
) -> tuple[str, frozenset[int]]:
    """Return the certificate of a cell and the inputs that reach its output."""
    expression, outputs = _expression(edges, concat, reduction)
    return expression.certificate(outputs), expression.used_inputs(outputs)


@lru_cache(maxsize=65536)
def _cell_operations(
    edges: tuple[Edge, ...], concat: tuple[int, ...], reduction: bool
) -> tuple[OperationGraph, frozenset[int]]:
    """Return the operations of a cell and the inputs that reach its output."""
    expression, outputs = _expression(edges, concat, reduction)
    graph = expression_graph(expression, outputs, DartsSpace.cells[reduction], "skip_connect")
    plain = tuple(
        Operation(one.name.removesuffix(_STRIDED), one.sources, one.target) for one in graph
    )
    return plain, expression.used_inputs(outputs)


def _expression(
    edges: tuple[Edge, ...], concat: tuple[int, ...], reduction: bool
) -> tuple[Expression, list[Sum]]:
    """Return a cell, and the sums that its output concatenates."""
    expression = Expression()
    nodes: list[Sum] = [Expression.cell_input(0), Expression.cell_input(1)]
    for node in range(NODES):
        terms: list[Sum] = []
        for operation, source in edges[2 * node : 2 * node + 2]:
            strided = reduction and source < 2
            if operation == "none":
                continue
            if operation == "skip_connect" and not strided:
                terms.append(nodes[source])
            else:
                label = f"{operation}{_STRIDED}" if strided else operation
                terms.append(expression.apply(label, nodes[source]))
        nodes.append(add(*terms))
    return expression, [nodes[node] for node in concat]


@dataclass(frozen=True)
class DartsOptions:
    """Keyword arguments of :class:`DartsSpace`.

    Attributes:
        operations: operations for sampling and mutation.
    """

    operations: list[str] = field(default_factory=lambda: list(OPERATIONS[1:]))


SPACES.add(
    SpaceRecord(
        name="darts",
        space=DartsSpace,
        macro=DartsMacro,
        source="Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055",
        options=DartsOptions,
        narrow={"cells": 3, "channels": 1},
    )
)
