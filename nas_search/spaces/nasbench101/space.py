"""NAS-Bench-101: cells of up to seven vertices and nine edges, 423,624 different networks.

Source: Ying et al., ICML 2019, arXiv 1902.09635.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import (
    SPACES,
    CellEdge,
    CellGraph,
    Parameter,
    SearchSpace,
    SpaceRecord,
)
from nas_search.spaces.nasbench101 import genotype as genotypes
from nas_search.spaces.nasbench101.cost import network_parts, network_segments
from nas_search.spaces.nasbench101.genotype import Nasbench101Genotype, from_graph
from nas_search.spaces.nasbench101.graph import (
    MAX_EDGES,
    MAX_VERTICES,
    OPERATIONS,
    PRUNED_GRAPHS,
    CellGraph101,
    canonical,
    prune,
    pruned_graph,
    published_hash,
)
from nas_search.spaces.nasbench101.network import (
    Nasbench101Cell,
    Nasbench101Macro,
    Nasbench101Network,
)
from nas_search.spaces.nasbench101.stacked import StackedNetwork101, skeleton
from nas_search.spaces.operation_graph import WIRE, CellKind, Operation, OperationGraph
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment
from nas_search.stacked.network import Pool, StackedNetwork

_LAST = MAX_VERTICES - 1
_SLOTS = tuple(itertools.combinations(range(MAX_VERTICES), 2))
_OTHERS = len(OPERATIONS) - 1
_MOVES = len(_SLOTS) + (MAX_VERTICES - 2) * _OTHERS

_CELL = CellKind(
    name="cell",
    inputs=("input",),
    operations=OPERATIONS,
    nodes=MAX_VERTICES,
    families={"convolution": OPERATIONS[:2], "not_3x3_convolution": OPERATIONS[1:]},
)


class Nasbench101Space(SearchSpace[Nasbench101Genotype]):
    """The cells of NAS-Bench-101 and the moves between them.

    A genotype is a matrix before pruning. Sampled genotypes and the children of mutation and
    crossover have all seven vertices, so that a cell can grow: as in the published search, vertices
    on no path are kept in the genotype and pruned for the network. A smaller genotype that was
    parsed is first padded with unconnected vertices.

    The network is that of the canonical graph, see :mod:`nas_search.spaces.nasbench101.graph`: all
    genotypes of a cell have one network, one cost, and the parameters reported by the benchmark.
    """

    name = "nasbench101"
    cells = (_CELL,)

    @property
    def size(self) -> int:
        """The published number of different cells."""
        return 423_624

    def sample(self, rng: np.random.Generator) -> Nasbench101Genotype:
        """Return a cell drawn uniformly from the 423,624 different ones.

        Pruned graphs are drawn until one is canonical. (The published searches draw uniformly from
        all 2^21 matrices, and so get small cells far more often.)
        """
        while True:
            graph = pruned_graph(int(rng.integers(PRUNED_GRAPHS)))
            if canonical(graph) == graph:
                return from_graph(graph, MAX_VERTICES)

    def mutate(
        self, genotype: Nasbench101Genotype, rng: np.random.Generator
    ) -> Nasbench101Genotype:
        """Return the cell with one edge added or removed, or with one operation replaced.

        Uniform over the valid changes, at most 21 of edges and 10 of operations. (The published
        mutation flips each edge with probability 1/7 and redraws each operation with probability
        1/5, until the cell is different and valid; local search on this benchmark uses single
        steps.)
        """
        graph = _full(genotype)
        while True:
            child = _moved(graph, int(rng.integers(_MOVES)))
            if _valid(child):
                return from_graph(child)

    def crossover(
        self,
        first: Nasbench101Genotype,
        second: Nasbench101Genotype,
        rng: np.random.Generator,
    ) -> Nasbench101Genotype:
        """Return a valid child that takes each vertex from a random parent.

        A vertex is its operation and the edges into it. The choice is repeated until the cell is
        valid; 2 of the 64 choices always are, the parents themselves.
        """
        parents = (_full(first), _full(second))
        while True:
            coins = rng.integers(2, size=_LAST).tolist()
            child = CellGraph101(
                tuple(parents[coin].sources[v] for v, coin in enumerate(coins)),
                tuple(parents[coin].operations[v] for v, coin in enumerate(coins[:-1])),
            )
            if _valid(child):
                return from_graph(child)

    def neighbors(self, genotype: Nasbench101Genotype) -> Iterator[Nasbench101Genotype]:
        """Yield the valid cells that differ in one edge or in one operation, 31 at most."""
        graph = _full(genotype)
        for move in range(_MOVES):
            neighbor = _moved(graph, move)
            if _valid(neighbor):
                yield from_graph(neighbor)

    def parse(self, text: str) -> Nasbench101Genotype:
        """Return the genotype written as the benchmark's ``ModelSpec(matrix=..., ops=...)``.

        See :func:`nas_search.spaces.nasbench101.genotype.parse`.
        """
        return genotypes.parse(text)

    def canonical(self, genotype: Nasbench101Genotype) -> str:
        """Return ``vertices-edges-operations`` of the cell's canonical graph.

        Edges are the benchmark's binary number, operations are digits: the columns ``n_vertices``,
        ``adj_bits`` and ``ops`` of a table of the benchmark.
        """
        graph = _canonical_graph(genotype)
        return f"{graph.vertices}-{graph.bits}-{''.join(map(str, graph.operations))}"

    def benchmark_hash(self, genotype: Nasbench101Genotype) -> str:
        """Return the key of ``genotype`` in the benchmark's official files."""
        return published_hash(_canonical_graph(genotype))

    def build(
        self,
        genotype: Nasbench101Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`Nasbench101Macro`."""
        sizes = _checked(input_shape, num_classes, macro)
        graph = _canonical_graph(genotype)
        return Nasbench101Network(graph, sizes, input_shape[0], num_classes)

    def skeleton(self, genotype: Nasbench101Genotype) -> Hashable:
        """Return a key of the widths of the vertices and of those that feed the output."""
        return skeleton(_canonical_graph(genotype))

    def build_stacked(
        self,
        genotypes: Sequence[Nasbench101Genotype],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,
        **macro: Any,
    ) -> StackedNetwork:
        """Return one network for cells with equal widths of all vertices."""
        sizes = _checked(input_shape, num_classes, macro)
        graphs = [_canonical_graph(genotype) for genotype in genotypes]
        return StackedNetwork101(graphs, sizes, input_shape[0], num_classes, pool)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations of all vertices, without projections."""
        return [
            operation
            for cell in network.modules()
            if isinstance(cell, Nasbench101Cell)
            for name, operation in cell.named_children()
            if not name.endswith("projection")
        ]

    def parts(
        self,
        genotype: Nasbench101Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts; at 32x32 and 10 classes those of the benchmark."""
        sizes = _checked(input_shape, num_classes, macro)
        return network_parts(_canonical_graph(genotype), input_shape, num_classes, sizes)

    def segments(
        self,
        genotype: Nasbench101Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Sequence[Segment]:
        """Return how the parts are wired."""
        sizes = _checked(input_shape, num_classes, macro)
        return network_segments(_canonical_graph(genotype), input_shape, num_classes, sizes)

    def parameters(self, genotype: Nasbench101Genotype) -> Mapping[str, Parameter]:
        """Return the operation of each inner vertex, and whether each edge is there.

        Vertices are those of the genotype, before pruning.
        """
        inner = enumerate(genotype.ops[1:-1], 1)
        chosen: dict[str, Parameter] = {f"vertex {v}": (name, OPERATIONS) for v, name in inner}
        for x, y in itertools.combinations(range(len(genotype.ops)), 2):
            chosen[f"edge {x}-{y}"] = ("yes" if genotype.matrix[x][y] else "no", ("no", "yes"))
        return chosen

    def graphs(self, genotype: Nasbench101Genotype) -> tuple[CellGraph, ...]:
        """Return the pruned cell to draw, vertices as built; only projections have labels."""
        graph = _canonical_graph(genotype)
        names = [f"{v}: {OPERATIONS[operation]}" for v, operation in enumerate(graph.operations, 1)]
        nodes = ("input", *names, "output")
        edges = tuple(
            CellEdge(nodes[x], nodes[y], "" if x else "projection")
            for y, feeding in enumerate(graph.sources, 1)
            for x in feeding
        )
        return (CellGraph("cell", nodes[:1], nodes[-1], nodes, edges),)

    def operation_graphs(self, genotype: Nasbench101Genotype) -> tuple[OperationGraph, ...]:
        """Return the pruned cell: a vertex is an operation that reads the vertices before it."""
        graph = _canonical_graph(genotype)
        operations = [
            Operation(OPERATIONS[operation], sources, vertex)
            for vertex, (operation, sources) in enumerate(
                zip(graph.operations, graph.sources, strict=False), 1
            )
        ]
        return ((*operations, Operation(WIRE, graph.sources[-1], MAX_VERTICES - 1)),)


def _canonical_graph(genotype: Nasbench101Genotype) -> CellGraph101:
    pruned = prune(genotype.graph)
    assert pruned is not None  # a genotype has a path
    return canonical(pruned)


def _full(genotype: Nasbench101Genotype) -> CellGraph101:
    """Return the graph with all seven vertices."""
    return from_graph(genotype.graph, MAX_VERTICES).graph


def _moved(graph: CellGraph101, move: int) -> CellGraph101:
    """Return ``graph`` after move number ``move``, edges first; it may be invalid."""
    sources, operations = list(graph.sources), list(graph.operations)
    if move < len(_SLOTS):
        x, y = _SLOTS[move]
        sources[y - 1] = tuple(sorted({x}.symmetric_difference(sources[y - 1])))
    else:
        vertex, shift = divmod(move - len(_SLOTS), _OTHERS)
        operations[vertex] = (operations[vertex] + 1 + shift) % len(OPERATIONS)
    return CellGraph101(tuple(sources), tuple(operations))


def _valid(graph: CellGraph101) -> bool:
    pruned = prune(graph)
    return pruned is not None and pruned.edges <= MAX_EDGES


def _checked(
    input_shape: tuple[int, int, int], num_classes: int, macro: Mapping[str, Any]
) -> Nasbench101Macro:
    sizes = read_macro(Nasbench101Macro, macro)
    why = f"a skeleton of {sizes.stacks} stacks"
    check_problem(input_shape, num_classes, sizes.smallest_image, why)
    return sizes


SPACES.add(
    SpaceRecord(
        name="nasbench101",
        space=Nasbench101Space,
        macro=Nasbench101Macro,
        source="Ying et al., ICML 2019, arXiv 1902.09635",
        narrow={"modules_per_stack": 1, "channels": 5},
    )
)
