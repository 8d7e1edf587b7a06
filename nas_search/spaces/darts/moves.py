"""The mutations of a DARTS genotype: one edge gets another operation or another input."""

from __future__ import annotations

from nas_search.spaces.darts.genotype import CELLS, Edge, Genotype

Move = tuple[str, int, list[Edge]]
"""(cell, position of an edge in it, the edges that may replace it)."""


def operation_moves(genotype: Genotype, operations: tuple[str, ...]) -> list[Move]:
    """Return the changes of one operation to another of ``operations``."""
    moves: list[Move] = [
        (cell, position, [(other, source) for other in operations if other != operation])
        for cell in CELLS
        for position, (operation, source) in enumerate(getattr(genotype, cell))
    ]
    return [move for move in moves if move[2]]


def input_moves(genotype: Genotype) -> list[Move]:
    """Return the changes of one input to a node that the target does not read yet."""
    moves: list[Move] = []
    for cell in CELLS:
        edges: tuple[Edge, ...] = getattr(genotype, cell)
        for position, (operation, source) in enumerate(edges):
            taken = (source, edges[position ^ 1][1])
            others = [node for node in range(2 + position // 2) if node not in taken]
            if others:
                moves.append((cell, position, [(operation, node) for node in others]))
    return moves


def replace_edge(genotype: Genotype, cell: str, position: int, edge: Edge) -> Genotype:
    """Return the genotype with one edge replaced.

    If the input changes, the two edges of the node are sorted by their inputs, as in sampled
    genotypes; all other edges keep their order.
    """
    edges = list(getattr(genotype, cell))
    input_changes = edges[position][1] != edge[1]
    edges[position] = edge
    if input_changes:
        start = position - position % 2
        edges[start : start + 2] = sorted(edges[start : start + 2], key=lambda e: e[1])
    cells = {name: getattr(genotype, name) for name in CELLS} | {cell: tuple(edges)}
    return Genotype(
        cells["normal"], genotype.normal_concat, cells["reduce"], genotype.reduce_concat
    )
