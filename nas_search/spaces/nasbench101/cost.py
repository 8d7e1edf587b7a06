"""Size of a NAS-Bench-101 network without building it: the sum of parts, each counted once."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from nas_search.spaces.costs import Cost, cost_of
from nas_search.spaces.nasbench101.graph import OPERATIONS, CellGraph101
from nas_search.spaces.nasbench101.network import (
    MAKERS,
    Nasbench101Macro,
    conv_bn_relu,
    head,
    plan_cells,
    vertex_channels,
)

_CellKind = tuple[int, int, tuple[int, int]]
"""Cells that cost the same: (channels of the input, of the output, height and width)."""


def network_cost(
    graph: CellGraph101,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Nasbench101Macro,
) -> Cost:
    """Return parameters and MACs of one image; the arguments are checked by the caller."""
    skeleton, kinds = _skeleton(tuple(input_shape), num_classes, macro)
    params, macs = skeleton.params, skeleton.macs
    for (inputs, outputs, size), cells in kinds:
        widths = vertex_channels(graph, outputs)
        for v, width in enumerate(widths):
            if v < len(graph.operations):
                cost = _vertex(graph.operations[v], width, size)
                params += cells * cost.params
                macs += cells * cost.macs
            if 0 in graph.sources[v]:
                cost = _projection(inputs, width, size)
                params += cells * cost.params
                macs += cells * cost.macs
    return Cost(params, macs)


@lru_cache(maxsize=4096)
def _vertex(operation: int, channels: int, size: tuple[int, int]) -> Cost:
    return cost_of(MAKERS[OPERATIONS[operation]], channels, input_shape=(channels, *size))


@lru_cache(maxsize=4096)
def _projection(inputs: int, outputs: int, size: tuple[int, int]) -> Cost:
    return cost_of(conv_bn_relu, inputs, outputs, 1, input_shape=(inputs, *size))


@lru_cache(maxsize=64)
def _skeleton(
    input_shape: tuple[int, int, int], num_classes: int, macro: Nasbench101Macro
) -> tuple[Cost, tuple[tuple[_CellKind, int], ...]]:
    """Return the cost of stem and classifier, and the number of cells per kind."""
    total = cost_of(conv_bn_relu, input_shape[0], macro.channels, 3, input_shape=input_shape)
    plans = list(plan_cells(macro, (input_shape[1], input_shape[2])))
    last = plans[-1]
    total += cost_of(head, last.outputs, num_classes, input_shape=(last.outputs, *last.size))
    kinds = Counter((plan.inputs, plan.outputs, plan.size) for plan in plans)
    return total, tuple(kinds.items())
