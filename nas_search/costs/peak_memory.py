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
from typing import Any

import torch

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.costs.trace import Trace, trace
from nas_search.spaces import SearchSpace

BYTES = {"float32": 4, "int8": 1}
"""Bytes per element, by type."""

IN_PLACE = (
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu", "sigmoid", "tanh"),
    *("leaky_relu", "elu", "clamp", "dropout", "batch_norm"),
    *("add", "sub", "mul", "div", "iadd", "radd", "rmul", "neg"),
)
"""Operations that can write over an input of the size of their output."""


def peak_memory(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the bytes for one image."""
    with torch.device("meta"):
        network = space.build(genotype, at.input_shape, at.num_classes, **at.macro)
    return BYTES[at.dtype] * peak_elements(trace(network, at.input_shape))


def peak_elements(traced: Trace) -> int:
    """Return the elements that live at once, in the best order found."""
    return min(_Memory(traced).peak(order) for order in (_first, _last, _least))


class _Memory:
    """The buffers of a network while its operations run in some order."""

    def __init__(self, traced: Trace) -> None:
        self.steps, self.sizes = traced.steps, traced.sizes
        self.readers = [0] * len(traced.sizes)
        for step in traced.steps:
            for number in step.reads:
                self.readers[number] += 1
        for number in traced.outputs:
            self.readers[number] += 1  # the caller
        made = {number for step in traced.steps for number in step.writes}
        # The image, and constants that no operation makes.
        self.live = sum(size for number, size in enumerate(traced.sizes) if number not in made)

    def during_and_after(self, index: int) -> tuple[int, int]:
        """Return the elements that live while a step runs, and after it."""
        step, sizes = self.steps[index], self.sizes
        made = sum(sizes[number] for number in step.writes)
        freed = [sizes[number] for number in step.reads if self.readers[number] == 1]
        reused = made if step.name in IN_PLACE and made in freed else 0
        unread = sum(sizes[number] for number in step.writes if not self.readers[number])
        return self.live + made - reused, self.live + made - sum(freed) - unread

    def run(self, index: int) -> int:
        """Run a step; return the elements that lived meanwhile."""
        during, self.live = self.during_and_after(index)
        for number in self.steps[index].reads:
            self.readers[number] -= 1
        return during

    def peak(self, choose: Callable[[_Memory, list[int]], int]) -> int:
        """Return the most elements that live at once, if ``choose`` picks among ready steps."""
        return max((self.run(index) for index in self._order(choose)), default=self.live)

    def _order(self, choose: Callable[[_Memory, list[int]], int]) -> Iterator[int]:
        makers = {number: i for i, step in enumerate(self.steps) for number in step.writes}
        waiting_for = [
            {makers[number] for number in step.reads if number in makers} - {i}
            for i, step in enumerate(self.steps)
        ]
        followers: list[list[int]] = [[] for _ in self.steps]
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


COSTS.add(
    CostRecord(
        "peak_memory",
        "bytes",
        peak_memory,
        "bytes of the activations that live at once during inference of one image",
        "Liberis and Lane 2019, arXiv 1910.05110",
    )
)
