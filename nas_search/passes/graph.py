"""A walk along autograd's graph that carries one number per candidate.

In a stacked network a node of the graph serves several candidates. Only the routing moves samples
between candidates, and its nodes tell how (:class:`nas_search.stacked.routing.Moves`); every other
operation keeps them in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.stacked.routing import Moves

NOTHING, WEIGHT = -2, -1
"""Numbers of a node that no path reaches, and of one that paths reach from weights alone.

From 0 on the number is that of the layers on the longest path from the image: the largest of what
comes in, plus one at a convolution or linear layer, and two at a layer of attention.
"""


Graph = dict[Any, tuple[tuple[Any, int], ...]]
"""Nodes of autograd's graph, each after those it reads: what reads which outputs of which nodes."""


def graph_of(end: Any) -> Graph:
    """Return the nodes that ``end`` depends on."""
    graph: Graph = {}
    reads: Graph = {}  # asked for once: each time, torch makes it anew
    stack = [(end, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            graph[node] = reads[node]
        elif node is not None and node not in reads:
            reads[node] = node.next_functions
            stack.append((node, True))
            stack += [(before, False) for before, _ in reads[node]]
    return graph


def inputs_of(graph: Graph, node: Any) -> Iterator[tuple[Any, list[int] | None, list[int] | None]]:
    """Yield what a node reads: another node, which of its candidates, and where they go.

    None stands for all candidates of the other node and of this one.
    """
    moves = getattr(node, "moves", None)
    for number, (before, output) in enumerate(graph[node]):
        if before is not None:
            others = getattr(before, "moves", None)
            taken = others.taken[output] if isinstance(others, Moves) and others.taken else None
            put = moves.put[number] if isinstance(moves, Moves) and moves.put else None
            yield before, taken, put


def longest_paths_of_one(
    graph: Graph, counted: Mapping[Any, int], leaves: set[Tensor] | None
) -> dict[Any, np.ndarray]:
    """Return what :func:`longest_paths` does, where there is one candidate: far less work."""
    numbers: dict[Any, int] = {}
    for node, reads in graph.items():
        leaf = None if reads else getattr(node, "variable", None)
        if leaf is not None:
            numbers[node] = 0 if leaves is None or leaf in leaves else WEIGHT
            continue
        own = max((numbers[before] for before, _ in reads if before is not None), default=NOTHING)
        numbers[node] = own + counted.get(node, 0) if own >= 0 else own
    arrays = {number: np.array([number]) for number in set(numbers.values())}
    return {node: arrays[number] for node, number in numbers.items()}


def longest_paths(
    graph: Graph,
    counted: Mapping[Any, int],
    sizes: dict[Any, int],
    leaves: set[Tensor] | None,
) -> dict[Any, np.ndarray]:
    """Return each node's number per candidate; one alone where weights are all that it reads.

    Args:
        graph: the nodes.
        counted: how many layers those are that are any.
        sizes: numbers of candidates of some nodes.
        leaves: where paths begin; None means wherever the graph does, as tokens are no part of it.
    """
    numbers: dict[Any, np.ndarray] = {}
    for node, reads in graph.items():
        leaf = None if reads else getattr(node, "variable", None)
        if leaf is not None:
            begins = leaves is None or leaf in leaves
            numbers[node] = np.array([0 if begins else WEIGHT])
            continue
        moves = getattr(node, "moves", None)
        size = moves.size if isinstance(moves, Moves) else sizes.get(node, 1)
        own = np.full(size, NOTHING)
        for before, taken, put in inputs_of(graph, node):
            read = numbers[before]
            if taken is not None and len(read) > 1:
                read = read[taken]
            if put is not None:
                np.maximum.at(own, put, read)  # several may get one place
            elif len(read) == 1 or size in (1, len(read)):
                own = np.maximum(own, read)
            else:
                raise InputError(
                    f"an operation that runs {len(read)} candidates gives the samples of {size}: a "
                    "stacked network moves them by nas_search.stacked.routing alone"
                )
        layers = counted.get(node) or getattr(node, "layers", 0)
        numbers[node] = np.where(own >= 0, own + layers, own) if layers else own
    return numbers


def reaching_the_end(
    graph: Graph, numbers: dict[Any, np.ndarray], candidates: int
) -> dict[Any, np.ndarray]:
    """Return per node and candidate whether a path leads from the node to the logits."""
    reaching: dict[Any, np.ndarray] = {}
    for node in reversed(graph):
        flags = reaching.setdefault(node, np.ones(candidates, dtype=bool))  # the last node
        for before, taken, put in inputs_of(graph, node):
            read = flags if put is None or len(flags) == 1 else flags[put]
            own = reaching.setdefault(before, np.zeros(len(numbers[before]), dtype=bool))
            if len(own) == 1:  # weights, and the image
                own |= read.any()
            elif taken is None:
                own |= read
            else:
                np.logical_or.at(own, taken, read)
    return reaching
