"""Size of a NAS-Bench-101 network without building it: the sum of pieces, each measured once."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from nas_search.spaces.costs import Cost, measure
from nas_search.spaces.nasbench101.graph import OPERATIONS, CellGraph101
from nas_search.spaces.nasbench101.network import (
    MAKERS,
    Nasbench101Macro,
    conv_bn_relu,
    head,
    plan_cells,
    vertex_channels,
)

_Place = tuple[int, int, tuple[int, int]]
"""Where a cell costs the same: (channels of its input, of its output, height and width)."""


def network_cost(
    graph: CellGraph101,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Nasbench101Macro,
) -> Cost:
    """Return parameters and MACs of one image; the arguments are checked by the caller."""
    skeleton, places = _skeleton(tuple(input_shape), num_classes, macro)
    params, macs = skeleton.params, skeleton.macs
    for (inputs, outputs, size), cells in places:
        widths = vertex_channels(graph, outputs)
        for v, width in enumerate(widths):
            if v < len(graph.operations):
                piece = _vertex(graph.operations[v], width, size)
                params += cells * piece.params
                macs += cells * piece.macs
            if 0 in graph.sources[v]:
                piece = _projection(inputs, width, size)
                params += cells * piece.params
                macs += cells * piece.macs
    return Cost(params, macs)


@lru_cache(maxsize=4096)
def _vertex(operation: int, channels: int, size: tuple[int, int]) -> Cost:
    return measure(MAKERS[OPERATIONS[operation]], channels, input_shape=(channels, *size))


@lru_cache(maxsize=4096)
def _projection(inputs: int, outputs: int, size: tuple[int, int]) -> Cost:
    return measure(conv_bn_relu, inputs, outputs, 1, input_shape=(inputs, *size))


@lru_cache(maxsize=64)
def _skeleton(
    input_shape: tuple[int, int, int], num_classes: int, macro: Nasbench101Macro
) -> tuple[Cost, tuple[tuple[_Place, int], ...]]:
    """Return the cost of stem and classifier, and the number of cells at each place."""
    total = measure(conv_bn_relu, input_shape[0], macro.channels, 3, input_shape=input_shape)
    plans = list(plan_cells(macro, (input_shape[1], input_shape[2])))
    last = plans[-1]
    total += measure(head, last.outputs, num_classes, input_shape=(last.outputs, *last.size))
    places = Counter((plan.inputs, plan.outputs, plan.size) for plan in plans)
    return total, tuple(places.items())
