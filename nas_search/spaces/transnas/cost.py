"""The parts of networks of TransNAS-Bench-101, and how cells are wired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod

from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, Wiring, alone
from nas_search.spaces.transnas.block import BasicBlock
from nas_search.spaces.transnas.cell import OPERATIONS, edge_sizes, operation
from nas_search.spaces.transnas.skeleton import (
    Block,
    TransnasMacro,
    blocks_of,
    head,
    stem,
    stem_strides,
)

Shape = tuple[int, int, int]


def micro_parts(
    operations: Sequence[str], modules: str, shape: Shape, num_classes: int, macro: TransnasMacro
) -> Counter[Part]:
    """Return the parts of a cell's network and how often each occurs; arguments are checked."""
    parts = Counter(_ends(modules, tuple(shape), num_classes, macro))
    edges = _edge_parts(modules, tuple(shape), macro)
    for (source, _), name in zip(EDGES, operations, strict=True):
        for part in edges[source == 0, name]:
            parts[part] += 1
    return parts


def micro_segments(
    operations: Sequence[str], modules: str, shape: Shape, num_classes: int, macro: TransnasMacro
) -> list[Segment]:
    """Return stem, cells and classifier as segments."""
    ends = _ends(modules, tuple(shape), num_classes, macro)
    cells = [_cell(tuple(operations), block) for block in blocks_of(modules, shape, macro)]
    return [*map(alone, ends), *cells]


def macro_parts(
    modules: str, shape: Shape, num_classes: int, macro: TransnasMacro
) -> Counter[Part]:
    """Return the parts of a skeleton of basic blocks and how often each occurs."""
    parts = Counter(_ends(modules, tuple(shape), num_classes, macro))
    for block in blocks_of(modules, shape, macro):
        parts[Part(BasicBlock, block[:3], (block.inputs, *block.sides))] += 1
    return parts


@lru_cache(maxsize=8192)
def _ends(modules: str, shape: Shape, num_classes: int, macro: TransnasMacro) -> tuple[Part, Part]:
    """Return stem and classifier."""
    strides, _ = stem_strides(shape[1:], macro.stem_halvings)
    last = blocks_of(modules, shape, macro)[-1]
    first = Part(stem, (shape[0], macro.channels, strides), shape)
    ends = (last.outputs, num_classes, macro.last_relu)
    return first, Part(head, ends, (last.outputs, *last.after))


@lru_cache(maxsize=64)
def _edge_parts(
    modules: str, shape: Shape, macro: TransnasMacro
) -> Mapping[tuple[bool, str], tuple[Part, ...]]:
    """Return what an edge adds to all cells, by whether it comes from the input, and operation."""
    blocks = blocks_of(modules, shape, macro)
    return {
        (first, name): ()
        if name == "none"
        else tuple(_edge_part(name, block, 0 if first else 1) for block in blocks)
        for first in (True, False)
        for name in OPERATIONS
    }


def _edge_part(name: str, block: Block, source: int) -> Part:
    sizes = edge_sizes(block, source)
    sides = block.sides if source == 0 else block.after
    return Part(operation, (name, *sizes), (sizes[0], *sides))


@lru_cache(maxsize=16384)
def _cell(operations: tuple[str, ...], block: Block) -> Segment:
    shape = (block.outputs, *block.after)
    wiring, nodes = Wiring(block.inputs * prod(block.sides)), [0]
    for target in range(1, 4):
        terms: list[int] = []
        for (source, end), name in zip(EDGES, operations, strict=True):
            if end == target and name != "none":
                part = _edge_part(name, block, source)
                same = name == "skip_connect" and part.args[1:] == (block.outputs, block.outputs, 1)
                terms.append(nodes[source] if same else wiring.apply(part, nodes[source]))
                terms = [wiring.sum(terms, shape)]  # as soon as there is one, as the network does
        nodes.append(wiring.sum(terms, shape))
    return wiring.segment(nodes[3])
