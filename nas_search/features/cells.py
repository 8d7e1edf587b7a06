"""Features of cells that are graphs of operations, for many cells at once.

A path leads from an input of the cell to its output; wires are part of paths and no operations.
Every feature is one number per cell, most of them per set of operations:

``count[set]``              operations of the set
``shortest_path[set]``      fewest operations on a path of this set alone; the number of the cell's
                            nodes where there is none
``most_on_path[set]``       most operations of the set on any path, ``fewest_on_path[set]``: fewest
``edges_from_input[set]``   operations of the set that read an input; a cell of several inputs has
                            ``edges_from_NAME[set]`` of each as well
``edges_to_output[set]``    operations of the set whose value goes into the output
``most_into_node[set]``     most operations of the set into one inner node;
                            ``most_out_of_node[set]``: most that read one
``nodes``, ``edges``        inner nodes; edges that operations read along
``depth_max``, ``depth_mean``  of inner nodes: most operations on a path to one, their largest and
                            mean
``wires``                   wires from an input to the output
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas_search.spaces import WIRE, CellKind, OperationGraph

Array = NDArray[np.float64]

ANY = "any"
"""The set of all operations of a cell."""

PER_SET = (
    *("count", "shortest_path", "most_on_path", "fewest_on_path", "edges_from_input"),
    *("edges_to_output", "most_into_node", "most_out_of_node"),
)
OVERALL = ("nodes", "edges", "depth_max", "depth_mean", "wires")


def operation_sets(kind: CellKind) -> dict[str, tuple[str, ...]]:
    """Return the sets of operations by name: each alone, the families, and :data:`ANY`."""
    sets = {name: (name,) for name in kind.operations}
    return {**sets, **kind.families, ANY: kind.operations}


def cell_names(kind: CellKind) -> list[str]:
    """Return the names of the features of a cell, in the order of :func:`cell_features`."""
    per_set = [*PER_SET, *_per_input(kind)]
    names = [f"{feature}[{name}]" for feature in per_set for name in operation_sets(kind)]
    return [f"{kind.name}.{name}" for name in (*names, *OVERALL)]


def cell_features(kind: CellKind, graphs: Sequence[OperationGraph]) -> Array:
    """Return the features (n, features) of cells of one kind.

    Args:
        kind: what they have in common.
        graphs: (n) cells.
    """
    reads, writes = _counts(kind, graphs)
    sets = _set_matrix(kind)
    inputs, output = len(kind.inputs), kind.nodes - 1
    wired = reads[:, :, output, -1] > 0  # (n, nodes): into the output
    edges = reads @ sets  # (n, sources, targets, sets)
    added = writes @ sets  # (n, targets, sets)
    goes_out = (added * wired[:, :, None]).sum(1) + added[:, output]
    inner = slice(inputs, output)
    paths = _Paths(reads, sets, inputs)
    depth = paths.most_to_node[:, inner, -1]
    present = np.isfinite(depth)
    nodes = present.sum(1)
    depth = np.where(present, depth, 0)
    per_set = [
        added.sum(1),
        paths.shortest(),
        paths.most(),
        paths.fewest(),
        edges[:, :inputs].sum((1, 2)),
        goes_out,
        edges[:, :, inner].sum(1).max(1),
        edges[:, inner].sum(2).max(1),
    ]
    per_set += [edges[:, i].sum(1) for i in range(inputs if _per_input(kind) else 0)]
    overall = [
        nodes,
        edges[..., -1].sum((1, 2)),
        depth.max(1),
        depth.sum(1) / np.maximum(nodes, 1),
        reads[:, :inputs, output, -1].sum(1),
    ]
    return np.concatenate([*per_set, np.stack(overall, 1)], axis=1)


def _per_input(kind: CellKind) -> list[str]:
    return [f"edges_from_{name}" for name in kind.inputs] if len(kind.inputs) > 1 else []


def _counts(kind: CellKind, graphs: Sequence[OperationGraph]) -> tuple[Array, Array]:
    """Return how many operations read and write, by name; wires are the last.

    Returns:
        (n, sources, targets, names) and (n, targets, names).
    """
    index = {name: number for number, name in enumerate((*kind.operations, WIRE))}
    read, written = [], []
    for row, graph in enumerate(graphs):
        for one in graph:
            number = index[one.name]
            written.append((row, one.target, number))
            read += [(row, source, one.target, number) for source in one.sources]
    shape = (len(graphs), kind.nodes, kind.nodes, len(index))
    return _histogram(read, shape), _histogram(written, (shape[0], *shape[2:]))


def _histogram(indices: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> Array:
    if not indices:
        return np.zeros(shape)
    flat = np.ravel_multi_index(tuple(np.array(indices).T), shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(float)


def _set_matrix(kind: CellKind) -> Array:
    """Return (names and the wire, sets): 1 where a set holds an operation."""
    sets = operation_sets(kind).values()
    rows = [[float(name in members) for members in sets] for name in kind.operations]
    return np.array([*rows, [0.0] * len(sets)])


class _Paths:
    """Longest and shortest paths from any input, (n, sets) of operations."""

    def __init__(self, reads: Array, sets: Array, inputs: int) -> None:
        count, self._nodes = reads.shape[:2]
        shape = (count, self._nodes, sets.shape[1])
        most = np.full(shape, -np.inf)
        most[:, :inputs] = 0
        fewest, shortest = -most, -most
        there = reads > 0
        outside = 1 - sets  # a wire is in no set and costs nothing
        outside[-1] = 0
        for source, target in itertools.combinations(range(self._nodes), 2):
            link = there[:, source, target]
            if target < inputs or not link.any():
                continue
            inside = link @ (sets > 0)  # (n, sets): by an operation of the set
            free = link[:, -1:]  # by a wire
            beside = (link @ (outside > 0)) | free  # by one that the set does not count
            most[:, target] = np.maximum(
                most[:, target],
                most[:, source] + np.where(inside, 1.0, np.where(beside, 0.0, -np.inf)),
            )
            fewest[:, target] = np.minimum(
                fewest[:, target],
                fewest[:, source] + np.where(beside, 0.0, np.where(inside, 1.0, np.inf)),
            )
            step = np.where(free, 0.0, np.where(inside, 1.0, np.inf))
            shortest[:, target] = np.minimum(shortest[:, target], shortest[:, source] + step)
        self.most_to_node = most
        self._fewest, self._shortest = fewest[:, -1], shortest[:, -1]

    def most(self) -> Array:
        return np.where(np.isfinite(self.most_to_node[:, -1]), self.most_to_node[:, -1], 0)

    def fewest(self) -> Array:
        return np.where(np.isfinite(self._fewest), self._fewest, 0)

    def shortest(self) -> Array:
        return np.where(np.isfinite(self._shortest), self._shortest, self._nodes)
