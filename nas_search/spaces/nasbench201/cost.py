"""The parts of a NAS-Bench-201 network: stem, residual blocks, the operation of each edge, head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from torch import nn

from nas_search.spaces.nasbench201.network import OPERATIONS, Nasbench201Macro, head, stem
from nas_search.spaces.operations import ResidualBlock, half
from nas_search.spaces.parts import Part


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
