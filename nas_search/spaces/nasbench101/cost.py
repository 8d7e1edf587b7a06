"""The parts of a NAS-Bench-101 network: stem, vertices, projections, classifier."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import pairwise

from torch import nn

from nas_search.spaces.nasbench101.graph import OPERATIONS, CellGraph101
from nas_search.spaces.nasbench101.network import (
    MAKERS,
    Nasbench101Macro,
    conv_bn_relu,
    head,
    plan_cells,
    stack_pool,
    vertex_channels,
)
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, Wiring, alone

_CellKind = tuple[int, int, tuple[int, int]]
"""Cells with the same parts: (channels of the input, of the output, height and width)."""


def network_parts(
    graph: CellGraph101,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Nasbench101Macro,
) -> Counter[Part]:
    """Return the parts and how often each occurs; the arguments are checked by the caller."""
    skeleton, kinds = _skeleton(tuple(input_shape), num_classes, macro)
    parts = Counter(skeleton)
    for (inputs, outputs, size), cells in kinds:
        for v, width in enumerate(vertex_channels(graph, outputs)):
            if v < len(graph.operations):
                parts[_vertex(graph.operations[v], width, size)] += cells
            if 0 in graph.sources[v]:
                parts[_projection(inputs, width, size)] += cells
    return parts


def network_segments(
    graph: CellGraph101,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Nasbench101Macro,
) -> list[Segment]:
    """Return stem, pooling, cells and classifier as segments, those of equal cells once."""
    skeleton, kinds = _skeleton(tuple(input_shape), num_classes, macro)
    return [*map(alone, skeleton), *(_cell_segment(graph, *kind) for kind, _ in kinds)]


@lru_cache(maxsize=4096)
def _cell_segment(graph: CellGraph101, inputs: int, outputs: int, size: tuple[int, int]) -> Segment:
    wiring = Wiring(inputs * size[0] * size[1])
    widths, values = vertex_channels(graph, outputs), [0]

    def projected(width: int) -> int:
        return wiring.apply(_projection(inputs, width, size), 0)

    for v, number in enumerate(graph.operations):
        width = widths[v]
        terms = [values[source] if source else projected(width) for source in graph.sources[v]]
        total = wiring.sum(terms, (width, *size))
        values.append(wiring.apply(_vertex(number, width, size), total))
    feeding = [values[source] for source in graph.sources[-1] if source]
    # As it is called: the projection runs first, the concatenation is added to it.
    first = [projected(outputs)] if 0 in graph.sources[-1] else []
    joined = [wiring.concatenate(feeding, (outputs, *size))] if feeding else []
    return wiring.segment(wiring.sum([*first, *joined], (outputs, *size)))


def operation(name: str, channels: int) -> nn.Module:
    """Return the module of a vertex."""
    return MAKERS[name](channels)


@lru_cache(maxsize=4096)
def _vertex(number: int, channels: int, size: tuple[int, int]) -> Part:
    return Part(operation, (OPERATIONS[number], channels), (channels, *size))


@lru_cache(maxsize=4096)
def _projection(inputs: int, outputs: int, size: tuple[int, int]) -> Part:
    return Part(conv_bn_relu, (inputs, outputs, 1), (inputs, *size))


@lru_cache(maxsize=64)
def _skeleton(
    input_shape: tuple[int, int, int], num_classes: int, macro: Nasbench101Macro
) -> tuple[Counter[Part], tuple[tuple[_CellKind, int], ...]]:
    """Return stem, pooling and classifier, and the number of cells per kind."""
    parts = Counter([Part(conv_bn_relu, (input_shape[0], macro.channels, 3), input_shape)])
    plans = list(plan_cells(macro, (input_shape[1], input_shape[2])))
    for before, plan in pairwise(plans):
        if plan.pool:
            parts[Part(stack_pool, (), (plan.inputs, *before.size))] += 1
    last = plans[-1]
    parts[Part(head, (last.outputs, num_classes), (last.outputs, *last.size))] += 1
    kinds = Counter((plan.inputs, plan.outputs, plan.size) for plan in plans)
    return parts, tuple(kinds.items())
