"""The pruned graph of a NAS-Bench-101 cell, its canonical numbering and its published hash.

A cell is written as a matrix, but its network consists only of the vertices on a path from the
input to the output: the published pruning removes the others. Many matrices give the same network;
the benchmark trained the first one of its enumeration. That is the least of all forward numberings
of the vertices, by the edges as a binary number and then by the operations. :func:`canonical`
returns it, so that

- two cells have equal canonical graphs exactly if their labeled graphs are isomorphic;
- a network built from it equals the trained one in every channel: if the channels of a cell do not
  divide evenly, the vertices numbered first get one more.

Source: Ying et al., ICML 2019, arXiv 1902.09635; github.com/google-research/nasbench.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

OPERATIONS: tuple[str, ...] = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The three published operations, numbered as in the benchmark's files."""

MAX_VERTICES = 7
MAX_EDGES = 9


@dataclass(frozen=True)
class CellGraph101:
    """A pruned cell: vertex 0 is the input, the last vertex the output.

    Attributes:
        sources: the vertices that feed each vertex from 1 to the output, ascending.
        operations: the operation of each interior vertex, as an index of :data:`OPERATIONS`.
    """

    sources: tuple[tuple[int, ...], ...]
    operations: tuple[int, ...]

    @property
    def vertices(self) -> int:
        """Number of vertices, input and output included."""
        return len(self.sources) + 1

    @property
    def edges(self) -> int:
        """Number of edges."""
        return sum(map(len, self.sources))

    @property
    def bits(self) -> int:
        """The edges as the benchmark's binary number: x -> y is bit x + y (y - 1) / 2."""
        return sum(
            1 << edge_bit(x, y) for y, feeding in enumerate(self.sources, 1) for x in feeding
        )


def edge_bit(source: int, target: int) -> int:
    """Return the bit of edge ``source`` -> ``target`` in the benchmark's binary numbers."""
    return source + target * (target - 1) // 2


def from_bits(vertices: int, bits: int, operations: Sequence[int]) -> CellGraph101:
    """Return the graph with the edges of the binary number ``bits``."""
    return CellGraph101(
        tuple(tuple(x for x in range(y) if bits >> edge_bit(x, y) & 1) for y in range(1, vertices)),
        tuple(operations),
    )


def prune(graph: CellGraph101) -> CellGraph101 | None:
    """Return ``graph`` without the vertices that are on no path from input to output.

    The others keep their order. None if there is no path.
    """
    last = graph.vertices - 1
    fed = [True]  # by the input
    for feeding in graph.sources:
        fed.append(any(fed[x] for x in feeding))
    used = {last}
    for y in range(last, 0, -1):
        if y in used:
            used.update(graph.sources[y - 1])
    if 0 not in used or not fed[last]:
        return None
    kept = [v for v in sorted(used) if fed[v]]
    index = {v: i for i, v in enumerate(kept)}
    return CellGraph101(
        tuple(tuple(index[x] for x in graph.sources[y - 1] if x in index) for y in kept[1:]),
        tuple(graph.operations[v - 1] for v in kept[1:-1]),
    )


@lru_cache(maxsize=65536)
def canonical(graph: CellGraph101) -> CellGraph101:
    """Return the numbering of a pruned ``graph`` that represents all isomorphic ones.

    It is the least by :attr:`CellGraph101.bits`, then by operations, of all forward numberings, as
    in the benchmark's files.
    """
    best = min(_numberings(graph))
    return from_bits(graph.vertices, *best)


def _numberings(graph: CellGraph101) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (edges as a number, operations) of every forward numbering of the vertices."""
    for order in _forward_orders(graph):
        number = [0] * graph.vertices
        for new, old in enumerate(order):
            number[old] = new
        bits = 0
        for y, feeding in enumerate(graph.sources, 1):
            for x in feeding:
                bits |= 1 << edge_bit(number[x], number[y])
        yield bits, tuple(graph.operations[v - 1] for v in order[1:-1])


def _forward_orders(graph: CellGraph101) -> Iterator[list[int]]:
    """Yield the orders of all vertices, input first, output last, in which edges run forward."""
    last = graph.vertices - 1

    def extend(order: list[int]) -> Iterator[list[int]]:
        if len(order) == last:
            yield [*order, last]
            return
        for v in range(1, last):
            if v not in order and all(x in order for x in graph.sources[v - 1]):
                yield from extend([*order, v])

    return extend([0])


def published_hash(graph: CellGraph101) -> str:
    """Return the key of a pruned ``graph`` in the benchmark's files.

    Every vertex starts with (edges out, edges in, label); labels are -1 for the input, -2 for the
    output and the operation's index for the others. Then each round, one per vertex, mixes in the
    hashes of the neighbors. The hash is invariant under isomorphism and differs for all 423,624
    cells.
    """
    count = graph.vertices
    feeding = [(), *graph.sources]
    fed = [[y for y in range(count) if x in feeding[y]] for x in range(count)]
    labels = [-1, *graph.operations, -2]
    hashes = [_md5(str((len(fed[v]), len(feeding[v]), labels[v]))) for v in range(count)]
    for _ in range(count):
        hashes = [
            _md5(
                "".join(sorted(hashes[x] for x in feeding[v]))
                + "|"
                + "".join(sorted(hashes[y] for y in fed[v]))
                + "|"
                + hashes[v]
            )
            for v in range(count)
        ]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=1)
def pruned_matrices() -> dict[int, np.ndarray]:
    """Return, by number of vertices, all matrices (as binary numbers) that pruning does not change.

    They have at most :data:`MAX_EDGES` edges. With every choice of operations they are all pruned
    graphs; an isomorphism class occurs once per forward numbering.
    """
    matrices = {}
    for vertices in range(2, MAX_VERTICES + 1):
        bits = np.arange(1 << edge_bit(0, vertices), dtype=np.int32)
        rows, columns = [0] * vertices, [0] * vertices
        for x, y in itertools.combinations(range(vertices), 2):
            rows[x] |= 1 << edge_bit(x, y)
            columns[y] |= 1 << edge_bit(x, y)
        for mask in (*rows[:-1], *columns[1:]):  # each has an edge out, each has an edge in
            bits = bits[(bits & mask) != 0]
        edges = sum((bits >> bit) & 1 for bit in range(edge_bit(0, vertices)))
        matrices[vertices] = bits[edges <= MAX_EDGES]
    return matrices


PRUNED_GRAPHS = 1_293_208
"""Number of pruned graphs, all numberings; 423,624 up to isomorphism."""


def pruned_graph(index: int) -> CellGraph101:
    """Return one of the :data:`PRUNED_GRAPHS` pruned graphs, by its number from 0."""
    for vertices, matrices in pruned_matrices().items():
        interior = vertices - 2
        matrix, digits = divmod(index, len(OPERATIONS) ** interior)
        if matrix < len(matrices):
            break
        index -= len(matrices) * len(OPERATIONS) ** interior
    operations = [digits // len(OPERATIONS) ** v % len(OPERATIONS) for v in range(interior)]
    return from_bits(vertices, int(matrices[matrix]), operations)
