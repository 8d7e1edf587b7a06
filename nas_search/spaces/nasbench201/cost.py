"""The parts of a NAS-Bench-201 network: stem, residual blocks, the operation of each edge, head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from math import prod

from torch import nn

from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.nasbench201.network import (
    OPERATIONS,
    Nasbench201Macro,
    head,
    stem,
)
from nas_search.spaces.operations import ResidualBlock, half
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, Wiring, alone


def network_parts(
    operations: tuple[str, ...],
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Nasbench201Macro,
) -> Counter[Part]:
    """Return the parts and how often each occurs; the arguments are checked by the caller."""
    skeleton, edges = _skeleton(tuple(input_shape), num_classes, macro)
    parts = Counter(skeleton)
    for name in operations:
        for part in edges[name]:
            parts[part] += macro.cells
    return parts


def network_segments(
    operations: tuple[str, ...],
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Nasbench201Macro,
) -> list[Segment]:
    """Return stem, a cell per stage, blocks between them and classifier as segments."""
    skeleton, edges = _skeleton(tuple(input_shape), num_classes, macro)
    stages = range(len(edges["avg_pool_3x3"]))
    cells = []
    for stage in stages:
        parts = {name: own[stage] if own else None for name, own in edges.items()}
        cells.append(_cell_segment(operations, tuple(parts.items())))
    return [*map(alone, skeleton), *cells]


@lru_cache(maxsize=4096)
def _cell_segment(
    operations: tuple[str, ...], parts: tuple[tuple[str, Part | None], ...]
) -> Segment:
    by_name = dict(parts)
    shape = next(part.input_shape for _, part in parts if part is not None)
    wiring, nodes = Wiring(prod(shape)), [0]
    for target in range(1, 4):
        terms = []
        for (source, end), name in zip(EDGES, operations, strict=True):
            part = by_name[name]
            if end == target and name == "skip_connect":
                terms.append(nodes[source])
            elif end == target and part is not None:
                terms.append(wiring.apply(part, nodes[source]))
        nodes.append(wiring.sum(terms, shape))
    return wiring.segment(nodes[3])


def operation(name: str, channels: int) -> nn.Module:
    """Return the module of an operation other than ``none``."""
    make = OPERATIONS[name]
    assert make is not None
    return make(channels)


@lru_cache(maxsize=64)
def _skeleton(
    input_shape: tuple[int, int, int], num_classes: int, macro: Nasbench201Macro
) -> tuple[Counter[Part], Mapping[str, tuple[Part, ...]]]:
    """Return everything but the edges, and by operation the parts that one edge adds to a stage."""
    image_channels, height, width = input_shape
    channels = macro.channels
    parts = Counter([Part(stem, (image_channels, channels), input_shape)])
    edges: dict[str, tuple[Part, ...]] = dict.fromkeys(OPERATIONS, ())
    for stage in range(3):
        if stage:
            shape = (channels, height, width)
            parts[Part(ResidualBlock, (channels, 2 * channels), shape)] += 1
            channels, height, width = 2 * channels, half(height), half(width)
        shape = (channels, height, width)
        for name, make in OPERATIONS.items():
            if make is not None:
                edges[name] += (Part(operation, (name, channels), shape),)
    parts[Part(head, (channels, num_classes), (channels, height, width))] += 1
    return parts, edges
