"""Layered layout of a cell drawing, with room for every label.

Sugiyama's method with labels as boxes: nodes are in even columns by their depth, the label of an
edge is in the odd column before its target, and an edge that passes a column has an empty slot in
it. Boxes of a column never overlap and lines run only between columns or through their own
slots, so neither can cross a label or a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 24


@dataclass(frozen=True)
class Layout:
    """Columns and order of the items to draw.

    Attributes:
        columns: item ids of each column, top to bottom.
        chains: item ids along each edge, one per column, from source to target.
        labels: item id of each edge's label.
        ports: position where each edge leaves its source and enters its target, in ports below the
            middle of the node; a node's ports have the order of the items that they lead to.
    """

    columns: tuple[tuple[int, ...], ...]
    chains: tuple[tuple[int, ...], ...]
    labels: tuple[int, ...]
    ports: tuple[tuple[float, float], ...]


def node_depths(
    count: int, edges: Sequence[tuple[int, int]], inputs: Sequence[int], output: int
) -> list[int]:
    """Return the depth of each node: 0 for inputs, beyond all they read for others, output deepest.

    Args:
        count: number of nodes, numbered in topological order.
        edges: (source, target) pairs with source < target.
        inputs: numbers of the input nodes.
        output: number of the output node.
    """
    depth = [0 if node in inputs else 1 for node in range(count)]
    for source, target in sorted(edges):
        depth[target] = max(depth[target], depth[source] + 1)
    depth[output] = max(depth[output], 1 + max((d for n, d in enumerate(depth) if n != output)))
    return depth


def arrange(
    count: int, edges: Sequence[tuple[int, int]], inputs: Sequence[int], output: int
) -> Layout:
    """Return the layout of a graph with few line crossings; items 0..count-1 are the nodes.

    Args:
        count: number of nodes, numbered in topological order.
        edges: (source, target) pairs with source < target; equal pairs are parallel edges.
        inputs: numbers of the input nodes.
        output: number of the output node.
    """
    depth = node_depths(count, edges, inputs, output)
    columns: list[list[int]] = [[] for _ in range(2 * max(depth) + 1)]
    for node in range(count):
        columns[2 * depth[node]].append(node)
    chains: list[tuple[int, ...]] = []
    labels: list[int] = []
    next_item = count
    for source, target in edges:
        inner = range(2 * depth[source] + 1, 2 * depth[target])
        chain = list(range(next_item, next_item + len(inner)))
        next_item += len(inner)
        for column, item in zip(inner, chain, strict=True):
            columns[column].append(item)
        labels.append(chain[-1])
        chains.append((source, *chain, target))
    order = _uncross(columns, chains)
    return Layout(order, tuple(chains), tuple(labels), _ports(order, chains))


def _ports(
    columns: Sequence[Sequence[int]], chains: Sequence[Sequence[int]]
) -> tuple[tuple[float, float], ...]:
    rank_of = {item: i for column in columns for i, item in enumerate(column)}
    offsets: list[list[float]] = []
    for end, beside in ((0, 1), (-1, -2)):
        groups: dict[int, list[int]] = {}
        for edge in sorted(range(len(chains)), key=lambda e: rank_of[chains[e][beside]]):
            groups.setdefault(chains[edge][end], []).append(edge)
        offset = {e: i - (len(g) - 1) / 2 for g in groups.values() for i, e in enumerate(g)}
        offsets.append([offset[edge] for edge in range(len(chains))])
    return tuple(zip(*offsets, strict=True))


def _uncross(
    columns: list[list[int]], chains: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    """Return the columns reordered by barycenter sweeps: the order with the fewest crossings."""
    before: dict[int, list[int]] = {item: [] for column in columns for item in column}
    after: dict[int, list[int]] = {item: [] for item in before}
    for chain in chains:
        for left, right in pairwise(chain):
            after[left].append(right)
            before[right].append(left)
    best = [list(column) for column in columns]
    fewest = _crossings(best, after)
    for start in (columns, [column[::-1] for column in columns]):
        order = [list(column) for column in start]
        for sweep in range(SWEEPS):
            if not fewest:
                break
            forward = sweep % 2 == 0
            steps = range(1, len(order)) if forward else range(len(order) - 2, -1, -1)
            for c in steps:
                fixed = order[c - 1] if forward else order[c + 1]
                rank_of = {item: float(i) for i, item in enumerate(fixed)}
                links = before if forward else after
                order[c] = _by_barycenter(order[c], rank_of, links)
            crossings = _crossings(order, after)
            if crossings < fewest:
                best, fewest = [list(column) for column in order], crossings
    return tuple(tuple(column) for column in best)


def _by_barycenter(
    column: list[int], ranks: dict[int, float], links: dict[int, list[int]]
) -> list[int]:
    """Return the column sorted by the mean position of each item's neighbors; ties keep order."""
    scale = len(ranks) / max(len(column), 1)

    def key(index: int) -> float:
        neighbors = [ranks[other] for other in links[column[index]]]
        return sum(neighbors) / len(neighbors) if neighbors else index * scale

    return [column[i] for i in sorted(range(len(column)), key=key)]


def _crossings(columns: Sequence[Sequence[int]], after: dict[int, list[int]]) -> int:
    """Count the pairs of lines between neighboring columns that cross."""
    total = 0
    for left, right in pairwise(columns):
        rank_of = {item: i for i, item in enumerate(right)}
        ends = [rank_of[t] for item in left for t in sorted(after[item], key=rank_of.__getitem__)]
        total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return total


def place_rows(
    layout: Layout, heights: Sequence[float], gap: float, port_step: float
) -> list[float]:
    """Return the y of every item's middle, for lines as straight as boxes ``gap`` apart allow.

    Each sweep moves the items of a column towards their neighbors: first to the mean, which
    balances the drawing, then to the nearest median, which straightens long lines.

    Args:
        layout: the arrangement; y grows downwards in each column's order.
        heights: height of each item.
        gap: smallest distance between two boxes of a column, same unit.
        port_step: distance between two ports of a node, same unit.
    """
    links: list[list[_Link]] = [[] for _ in heights]
    for chain, (leave, enter) in zip(layout.chains, layout.ports, strict=True):
        for k, (left, right) in enumerate(pairwise(chain)):
            first, last = k == 0, k == len(chain) - 2
            weight = 2.0 if first or last else 8.0  # long edges run straight between nodes
            shift = port_step * (leave * first - enter * last)
            links[left].append((right, -shift, weight))
            links[right].append((left, shift, weight))
    y = [0.0] * len(heights)
    for column in layout.columns:
        steps = _steps(column, heights, gap)
        for item, value in zip(column, separate([0.0] * len(column), steps), strict=True):
            y[item] = value
    for sweep in range(4 * SWEEPS):
        pull = _mean if sweep < 2 * SWEEPS else _median
        for column in layout.columns if sweep % 2 == 0 else layout.columns[::-1]:
            wanted = [
                pull(y[item], sorted((y[o] + shift, w) for o, shift, w in links[item]))
                for item in column
            ]
            steps = _steps(column, heights, gap)
            for item, value in zip(column, separate(wanted, steps), strict=True):
                y[item] = value
    return y


_Link = tuple[int, float, float]
"""Another item, the offset to its y for a straight line, and the weight of the line."""


def _steps(column: Sequence[int], heights: Sequence[float], gap: float) -> list[float]:
    """Return the smallest distances between the middles of consecutive items."""
    return [(heights[a] + heights[b]) / 2 + gap for a, b in pairwise(column)]


def _mean(current: float, wanted: list[tuple[float, float]]) -> float:
    total = sum(weight for _, weight in wanted)
    return sum(y * weight for y, weight in wanted) / total if total else current


def _median(current: float, wanted: list[tuple[float, float]]) -> float:
    """Return the weighted median nearest to ``current``; ``wanted`` is sorted."""
    half = sum(weight for _, weight in wanted) / 2
    below = 0.0
    for i, (y, weight) in enumerate(wanted):
        below += weight
        if below > half:
            return y
        if below == half:
            return min(max(current, y), wanted[i + 1][0])
    return current


def separate(wanted: Sequence[float], steps: Sequence[float]) -> list[float]:
    """Return the values nearest to ``wanted`` (least squares) that rise by ``steps`` or more.

    Pool-adjacent-violators on the values minus the sum of the steps before them.
    """
    offsets = [0.0]
    for step in steps:
        offsets.append(offsets[-1] + step)
    blocks: list[tuple[float, int]] = []  # sum and size of each block that moves as one
    for value, offset in zip(wanted, offsets, strict=False):
        blocks.append((value - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, size = blocks.pop()
            blocks[-1] = (blocks[-1][0] + total, blocks[-1][1] + size)
    level = [total / size for total, size in blocks for _ in range(size)]
    return [value + offset for value, offset in zip(level, offsets, strict=False)]
