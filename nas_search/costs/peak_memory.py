"""``peak_memory``: bytes of the activations that live at once, in a good order of the operations.

The model of memory is that of runtimes for small devices: a buffer lives from the operation that
makes it to the last one that reads it; operations element by element (ReLU, batch-norm, sums)
write over an input that nobody reads any more; weights are not counted, they lie in ``flash``.
The order of operations is the best of three: as the network calls them, depth first, and greedily
the operation after which least memory is in use (Liberis and Lane 2019, arXiv 1910.05110, show
what order is worth; the exact optimum takes time that is exponential in the width of the graph).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.costs.trace import Trace, trace, trace_part
from nas_search.spaces import Part, SearchSpace
from nas_search.spaces.segments import Segment

BYTES = {"float32": 4, "int8": 1}
"""Bytes per element, by type."""

IN_PLACE = (
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu", "sigmoid", "tanh"),
    *("leaky_relu", "elu", "clamp", "dropout", "batch_norm"),
    *("add", "sub", "mul", "div", "iadd", "radd", "rmul", "neg"),
)
"""Operations that can write over an input of the size of their output."""


@dataclass(frozen=True)
class Operation:
    """An operation as far as memory goes.

    Attributes:
        reads: numbers of the buffers that it reads, each once.
        writes: numbers of the buffers that it makes.
        extra: elements that it needs beside what lives already, its outputs included.
        overwrites: buffers over which it can write if nobody else reads them any more.
        saved: elements that it needs less if there is one.
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    extra: int
    overwrites: tuple[int, ...]
    saved: int


@dataclass(frozen=True)
class Plan:
    """Operations that run after each other, in an order to be found.

    Attributes:
        operations: in the order of the network's own calls.
        sizes: elements of each buffer.
        kept: numbers of the buffers that somebody reads afterwards.
    """

    operations: tuple[Operation, ...]
    sizes: tuple[int, ...]
    kept: tuple[int, ...]


def peak_memory(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the bytes for one image.

    From the wiring of the network's cells, one cell after another, where the space tells it;
    otherwise the whole network is built and run on the meta device.
    """
    problem = (genotype, at.input_shape, at.num_classes)
    segments = space.segments(*problem, **at.macro)
    if segments is not None:
        return BYTES[at.dtype] * max(map(_segment_peak, segments))
    with torch.device("meta"):
        network = space.build(*problem, **at.macro)
    return BYTES[at.dtype] * peak_elements(trace(network, at.input_shape))


def peak_elements(traced: Trace) -> int:
    """Return the elements that live at once, in the best order found."""
    return _peak(_plan_of_trace(traced))


def _plan_of_trace(traced: Trace, kept: tuple[int, ...] = ()) -> Plan:
    operations = []
    for step in traced.steps:
        made = sum(traced.sizes[number] for number in step.writes)
        over = [n for n in step.reads if step.name in IN_PLACE and traced.sizes[n] == made]
        operations.append(Operation(step.reads, step.writes, made, tuple(over), made))
    return Plan(tuple(operations), traced.sizes, (*traced.outputs, *kept))


@lru_cache(maxsize=16384)
def _part_needs(part: Part) -> tuple[int, int, int]:
    """Return the elements of a part's output, and what it needs beside its input: kept, or not."""
    traced = trace_part(part)
    kept, last = (_peak(_plan_of_trace(traced, outside)) for outside in ((0,), ()))
    size = traced.sizes[0]
    return sum(traced.sizes[n] for n in traced.outputs), kept - size, last - size


@lru_cache(maxsize=16384)
def _segment_peak(segment: Segment) -> int:
    """Return the elements that live at once in a segment, in the best order found."""
    sizes = list(segment.inputs)
    operations = []
    for number, node in enumerate(segment.nodes, len(sizes)):
        sources = tuple(dict.fromkeys(node.sources))
        if node.part is not None:
            size, extra, last = _part_needs(node.part)
            operations.append(Operation(sources, (number,), extra, sources, extra - last))
        else:  # a sum writes over a term; a concatenation is larger than any of its sources
            size = node.elements
            over = tuple(source for source in sources if sizes[source] == size)
            operations.append(Operation(sources, (number,), size, over, size))
        sizes.append(size)
    return _peak(Plan(tuple(operations), tuple(sizes), (segment.output, *segment.kept)))


def _peak(plan: Plan) -> int:
    """Return the elements that live at once in the best order; an optimum ends the comparison."""
    least, best = _at_least(plan), -1
    for order in ORDERS:
        peak = _Memory(plan).peak(order)
        best = peak if best < 0 else min(best, peak)
        if best == least:
            break
    return best


def _at_least(plan: Plan) -> int:
    """Return what every order needs: that of one operation, and what is kept throughout."""
    made = {number for one in plan.operations for number in one.writes}
    throughout = {number for number in plan.kept if number not in made}
    least = sum(size for number, size in enumerate(plan.sizes) if number not in made)
    for one in plan.operations:
        saved = one.saved if any(n not in throughout for n in one.overwrites) else 0
        live = sum(plan.sizes[number] for number in throughout.union(one.reads))
        least = max(least, live + one.extra - saved)
    return least


class _Memory:
    """The buffers of a network while its operations run in some order."""

    def __init__(self, plan: Plan) -> None:
        self.operations, self.sizes = plan.operations, plan.sizes
        self.readers = [0] * len(plan.sizes)
        for operation in plan.operations:
            for number in operation.reads:
                self.readers[number] += 1
        for number in plan.kept:
            self.readers[number] += 1
        made = {number for operation in plan.operations for number in operation.writes}
        # The inputs, and constants that no operation makes.
        self.live = sum(size for number, size in enumerate(plan.sizes) if number not in made)

    def during_and_after(self, index: int) -> tuple[int, int]:
        """Return the elements that live while an operation runs, and after it."""
        one, sizes = self.operations[index], self.sizes
        made = sum(sizes[number] for number in one.writes)
        freed = sum(sizes[number] for number in one.reads if self.readers[number] == 1)
        unread = sum(sizes[number] for number in one.writes if not self.readers[number])
        dies = any(self.readers[number] == 1 for number in one.overwrites)
        extra = one.extra - (one.saved if dies else 0)
        return self.live + extra, self.live + made - freed - unread

    def run(self, index: int) -> int:
        """Run an operation; return the elements that lived meanwhile."""
        during, self.live = self.during_and_after(index)
        for number in self.operations[index].reads:
            self.readers[number] -= 1
        return during

    def peak(self, choose: Callable[[_Memory, list[int]], int]) -> int:
        """Return the most elements that live at once, if ``choose`` picks among those ready."""
        return max((self.run(index) for index in self._order(choose)), default=self.live)

    def _order(self, choose: Callable[[_Memory, list[int]], int]) -> Iterator[int]:
        makers = {number: i for i, step in enumerate(self.operations) for number in step.writes}
        waiting_for = [
            {makers[number] for number in step.reads if number in makers} - {i}
            for i, step in enumerate(self.operations)
        ]
        followers: list[list[int]] = [[] for _ in self.operations]
        for i, before in enumerate(waiting_for):
            for one in before:
                followers[one].append(i)
        missing = [len(before) for before in waiting_for]
        ready = [i for i, count in reversed([*enumerate(missing)]) if not count]
        while ready:
            index = choose(self, ready)
            ready.remove(index)
            yield index
            for follower in reversed(followers[index]):
                missing[follower] -= 1
                if not missing[follower]:
                    ready.append(follower)


def _first(memory: _Memory, ready: list[int]) -> int:
    """The order of the network's own calls."""
    return min(ready)


def _last(memory: _Memory, ready: list[int]) -> int:
    """Depth first: what became ready last, and of several the one that is called first."""
    return ready[-1]


def _least(memory: _Memory, ready: list[int]) -> int:
    """The step after which least lives; among equals the one that needs least, then depth first."""

    def cost(index: int) -> tuple[int, int]:
        during, after = memory.during_and_after(index)
        return after, during

    return min(reversed(ready), key=cost)


ORDERS = (_least, _last, _first)
"""How the next operation is picked; the best of them counts."""


COSTS.add(
    CostRecord(
        "peak_memory",
        "bytes",
        peak_memory,
        "bytes of the activations that live at once during inference of one image",
        "Liberis and Lane 2019, arXiv 1910.05110",
    )
)
