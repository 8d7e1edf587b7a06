"""The parts of a DARTS network: stem, cell inputs, the operation of each edge, classifiers."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from nas_search.spaces.darts.genotype import NODES, Cell, Edge, Genotype
from nas_search.spaces.darts.network import (
    CellPlan,
    DartsMacro,
    Operations,
    auxiliary_head,
    head,
    operation,
    plan_cells,
    preprocess,
    stem,
)
from nas_search.spaces.operations import half
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, Wiring, alone


def network_parts(
    genotype: Genotype, input_shape: tuple[int, int, int], num_classes: int, macro: DartsMacro
) -> Counter[Part]:
    """Return the parts and how often each occurs; the arguments are checked by the caller."""
    normal = (genotype.normal, genotype.normal_concat)
    reduce = (genotype.reduce, genotype.reduce_concat)
    return cell_parts(normal, reduce, input_shape, num_classes, macro, operation)


def cell_parts(
    normal: Cell,
    reduce: Cell,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: DartsMacro,
    make: Operations,
) -> Counter[Part]:
    """Return the parts of the network of two cells, with their operations as ``make`` makes them.

    The arguments are checked by the caller.
    """
    channels, height, width = input_shape
    image = (channels, height, width)  # a list cannot be a key
    skeleton, kinds = _skeleton(image, num_classes, macro, len(normal[1]), len(reduce[1]))
    parts = Counter(skeleton)
    for (reduction, channels, side), cells in kinds:
        for name, source in (reduce if reduction else normal)[0]:
            if name != "none":
                parts[_edge(make, name, channels, reduction, source < 2, side)] += cells
    return parts


def network_segments(
    genotype: Genotype, input_shape: tuple[int, int, int], num_classes: int, macro: DartsMacro
) -> list[Segment]:
    """Return stem, cells and classifier as segments, those of equal cells once."""
    widths = (len(genotype.normal_concat), len(genotype.reduce_concat))
    plans = plan_cells(macro, *widths)
    before = last = (input_shape[1], input_shape[2])
    channels, height, width = input_shape
    image = (channels, height, width)  # a list cannot be a key
    segments = [alone(Part(stem, (channels, macro.channels), image))]
    cells: dict[object, Segment] = {}
    for index, plan in enumerate(plans):
        edges = genotype.reduce if plan.reduction else genotype.normal
        concat = genotype.reduce_concat if plan.reduction else genotype.normal_concat
        ends = (index == 0, index == len(plans) - 1)
        key = (plan, before, last, ends)
        if key not in cells:
            cells[key] = _cell_segment(edges, concat, plan, (before, last), ends)
        before, last = last, (half(last[0]), half(last[1])) if plan.reduction else last
    width = plans[-1].channels * widths[plans[-1].reduction]
    classifier = alone(Part(head, (width, num_classes), (width, *last)))
    return [*segments, *cells.values(), classifier]


@lru_cache(maxsize=4096)
def _cell_segment(
    edges: tuple[Edge, ...],
    concat: tuple[int, ...],
    plan: CellPlan,
    sides: tuple[tuple[int, int], tuple[int, int]],
    ends: tuple[bool, bool],
) -> Segment:
    """Return a cell; ``ends`` says whether it is the first one, whose inputs are one, or the last.

    The output of the cell before is the next cell's input too.
    """
    first, last = ends
    shapes = [(inputs, *side) for inputs, side in zip(plan.inputs, sides, strict=True)]
    sizes = [channels * height * width for channels, height, width in shapes]
    wiring = Wiring(*(sizes[1:] if first else sizes))
    newest = 0 if first else 1
    channels, side = plan.channels, sides[1]
    inside = (half(side[0]), half(side[1])) if plan.reduction else side
    nodes = [
        wiring.apply(Part(preprocess, (shape[0], channels, halve), shape), number)
        for shape, halve, number in zip(shapes, (plan.halve_first, False), (0, newest), strict=True)
    ]
    for node in range(NODES):
        terms = []
        for name, source in edges[2 * node : 2 * node + 2]:
            identity = name == "skip_connect" and not (plan.reduction and source < 2)
            if identity:
                terms.append(nodes[source])
            elif name != "none":
                part = _edge(operation, name, channels, plan.reduction, source < 2, side)
                terms.append(wiring.apply(part, nodes[source]))
        nodes.append(wiring.sum(terms, (channels, *inside)))
    chosen = [nodes[node] for node in concat]
    output = wiring.concatenate(chosen, (channels * len(concat), *inside))
    return wiring.segment(output, frozenset() if last else frozenset({newest}))


@lru_cache(maxsize=4096)
def _edge(
    make: Operations,
    name: str,
    channels: int,
    reduction: bool,
    from_input: bool,
    side: tuple[int, int],
) -> Part:
    """Return the operation of an edge in a cell whose inputs have the given sides."""
    strided = reduction and from_input
    size = (half(side[0]), half(side[1])) if reduction and not from_input else side
    return Part(make, (name, channels, 2 if strided else 1), (channels, *size))


_CellKind = tuple[bool, int, tuple[int, int]]
"""Cells whose edges are the same: (reduction cell?, channels, height and width of its inputs)."""


@lru_cache(maxsize=256)
def _skeleton(
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: DartsMacro,
    normal_width: int,
    reduce_width: int,
) -> tuple[Counter[Part], tuple[tuple[_CellKind, int], ...]]:
    """Return everything but the edges, and the number of cells per kind."""
    parts = Counter([Part(stem, (input_shape[0], macro.channels), input_shape)])
    before = last = (input_shape[1], input_shape[2])
    kinds: Counter[_CellKind] = Counter()
    plans = plan_cells(macro, normal_width, reduce_width)
    for plan in plans:
        for inputs, size, halve in zip(
            plan.inputs, (before, last), (plan.halve_first, False), strict=True
        ):
            parts[Part(preprocess, (inputs, plan.channels, halve), (inputs, *size))] += 1
        kinds[plan.reduction, plan.channels, last] += 1
        before, last = last, (half(last[0]), half(last[1])) if plan.reduction else last
    width = plans[-1].channels * (reduce_width if plans[-1].reduction else normal_width)
    parts[Part(head, (width, num_classes), (width, *last))] += 1
    if macro.auxiliary:
        width = plans[2 * macro.cells // 3].channels * reduce_width
        shape = (width, *last)
        parts[Part(auxiliary_head, (width, num_classes), shape, training=True)] += 1
    return parts, tuple(kinds.items())
