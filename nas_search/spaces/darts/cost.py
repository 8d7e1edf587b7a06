"""Size of a DARTS network without building it: the sum of its parts, each counted once."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from nas_search.spaces.costs import Cost, cost_of
from nas_search.spaces.darts.genotype import Genotype
from nas_search.spaces.darts.network import (
    MAKERS,
    DartsMacro,
    auxiliary_head,
    head,
    plan_cells,
    preprocess,
    stem,
)
from nas_search.spaces.operations import half


def network_cost(
    genotype: Genotype, input_shape: tuple[int, int, int], num_classes: int, macro: DartsMacro
) -> Cost:
    """Return parameters and MACs of one image; the arguments are checked by the caller."""
    widths = (len(genotype.normal_concat), len(genotype.reduce_concat))
    skeleton, kinds = _skeleton(tuple(input_shape), num_classes, macro, *widths)
    params, macs = skeleton.params, skeleton.macs
    for (reduction, channels, side), cells in kinds:
        for operation, source in genotype.reduce if reduction else genotype.normal:
            stride = 2 if reduction and source < 2 else 1
            size = side if stride == 2 or not reduction else (half(side[0]), half(side[1]))
            edge = _edge(operation, channels, stride, size)
            params += cells * edge.params
            macs += cells * edge.macs
    return Cost(params, macs)


@lru_cache(maxsize=4096)
def _edge(operation: str, channels: int, stride: int, size: tuple[int, int]) -> Cost:
    make = MAKERS[operation]
    if make is None:
        return Cost(0, 0)
    return cost_of(make, channels, stride, input_shape=(channels, *size))


_CellKind = tuple[bool, int, tuple[int, int]]
"""Cells whose edges cost the same: (reduction cell?, channels, height and width of its inputs)."""


@lru_cache(maxsize=256)
def _skeleton(
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: DartsMacro,
    normal_width: int,
    reduce_width: int,
) -> tuple[Cost, tuple[tuple[_CellKind, int], ...]]:
    """Return the cost of everything but the edges, and the number of cells per kind."""
    total = cost_of(stem, input_shape[0], macro.channels, input_shape=input_shape)
    before = last = (input_shape[1], input_shape[2])
    kinds: Counter[_CellKind] = Counter()
    plans = plan_cells(macro, normal_width, reduce_width)
    for plan in plans:
        for inputs, size, halve in zip(
            plan.inputs, (before, last), (plan.halve_first, False), strict=True
        ):
            shape = (inputs, *size)
            total += cost_of(preprocess, inputs, plan.channels, halve, input_shape=shape)
        kinds[plan.reduction, plan.channels, last] += 1
        before, last = last, (half(last[0]), half(last[1])) if plan.reduction else last
    width = plans[-1].channels * (reduce_width if plans[-1].reduction else normal_width)
    total += cost_of(head, width, num_classes, input_shape=(width, *last))
    if macro.auxiliary:
        width = plans[2 * macro.cells // 3].channels * reduce_width
        extra = cost_of(auxiliary_head, width, num_classes, input_shape=(width, *last))
        total = Cost(total.params + extra.params, total.macs)
    return total, tuple(kinds.items())
