"""Cells of several candidates in one: the rows that each operation reads, and where they go.

In every input slot of a node, each operation runs once, on the rows of the candidates that have it
there. Rows are picked from the values of the nodes, (K, n, C, H, W) for K candidates, and added to
the value of the node that the operation leads to. Nothing is copied where all candidates agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nas_search.stacked.candidates import Members


@dataclass(frozen=True)
class Moves:
    """How a node of autograd's graph moves candidates, stored as its attribute ``moves``.

    Attributes:
        size: number of candidates in the node.
        taken: per output, the positions of the candidates that it returns; empty if all.
        put: per tensor that it reads, the positions that its candidates get; None for all
            positions, and empty if no tensor's candidates change position.
    """

    size: int
    taken: Sequence[list[int]] = ()
    put: Sequence[list[int] | None] = ()


class Edge(NamedTuple):
    """An operation of one candidate's cell.

    Attributes:
        target: number of the node that it leads to, larger than that of any node that it reads.
        slot: input slot of that node; a candidate has at most one edge per slot.
        operation: name of the operation.
        stride: stride of the operation.
        source: number of the node that it reads.
    """

    target: int
    slot: int
    operation: str
    stride: int
    source: int


@dataclass(frozen=True)
class Step:
    """One operation in one input slot, for all candidates that have it there.

    Attributes:
        slot: input slot of the node that it leads to.
        operation: name of the operation.
        stride: stride of the operation.
        parts: (node, candidates that read it), in the order of the rows.
    """

    slot: int
    operation: str
    stride: int
    parts: tuple[tuple[int, Members], ...]

    @property
    def members(self) -> Members:
        """The candidates, in the order of the rows."""
        return tuple(member for _, members in self.parts for member in members)


def live_edges(edges: Sequence[Edge], outputs: Sequence[int]) -> list[Edge]:
    """Return the edges from which a path leads to one of the nodes ``outputs``."""
    needed = set(outputs)
    for edge in sorted(edges, key=lambda edge: -edge.target):
        if edge.target in needed:
            needed.add(edge.source)
    return [edge for edge in edges if edge.target in needed]


class Routing:
    """The routes of K candidates through cells of one kind.

    Args:
        cells: edges of each candidate's cell, without ``none``.
        device: device of the rows.

    Attributes:
        steps: steps that lead to each node.
    """

    def __init__(self, cells: Sequence[Sequence[Edge]], device: torch.device) -> None:
        self._candidates = len(cells)
        grouped: dict[tuple[int, int, str, int], dict[int, list[int]]] = defaultdict(dict)
        for number, edges in enumerate(cells):
            for target, slot, operation, stride, source in edges:
                parts = grouped[target, slot, operation, stride]
                parts.setdefault(source, []).append(number)
        self.steps: dict[int, list[Step]] = defaultdict(list)
        self._readers: dict[int, list[Members]] = defaultdict(list)
        for target, slot, operation, stride in sorted(grouped):
            parts = grouped[target, slot, operation, stride]
            step = Step(slot, operation, stride, tuple((s, tuple(parts[s])) for s in sorted(parts)))
            self.steps[target].append(step)
            for source, members in step.parts:
                self._readers[source].append(members)
        self._index = self._indices(device)

    def _indices(self, device: torch.device) -> dict[Members, Tensor]:
        """Return the row index of each set of members, moved to the device in one transfer."""
        wanted = dict.fromkeys(members for of_one in self._readers.values() for members in of_one)
        wanted |= dict.fromkeys(step.members for of_one in self.steps.values() for step in of_one)
        every = tuple(range(self._candidates))
        subsets = [members for members in wanted if members != every]
        flat = torch.tensor([member for members in subsets for member in members], dtype=torch.long)
        parts = flat.to(device).split([len(members) for members in subsets])
        return dict(zip(subsets, parts, strict=True))

    def run(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[int],
        apply: Callable[[int, Step, Tensor], Tensor],
        zero: Callable[[], Tensor],
    ) -> list[Tensor]:
        """Return the values of the nodes ``outputs``, (K, n, C, H, W) each.

        Args:
            inputs: values of the first nodes, (K, n, C, H, W) each.
            outputs: numbers of the nodes to return.
            apply: maps a node, a step that leads to it and the step's input, (k, n, C, H, W), to
                the result of the step for its members.
            zero: makes the value of a node without steps.
        """
        values: dict[int, Tensor] = {}
        picked: dict[int, list[Tensor]] = {}
        for node in range(max(outputs) + 1):
            if node < len(inputs):
                values[node] = inputs[node]
            elif self.steps[node]:
                values[node] = self._sum(node, picked, apply)
            elif node in self._readers or node in outputs:
                values[node] = zero()
            else:
                continue
            picked[node] = self._pick(values[node], self._readers[node])
        return [values[node] for node in outputs]

    def _pick(self, value: Tensor, readers: Sequence[Members]) -> list[Tensor]:
        """Return the rows of a node's value that each of ``readers`` reads, as a queue."""
        indices = [self._index.get(members) for members in readers]
        if all(index is None for index in indices):
            return [value] * len(readers)
        subsets = [(m, i) for m, i in zip(readers, indices, strict=True) if i is not None]
        members, rows = zip(*subsets, strict=True)
        parts = iter(_Pick.apply(members, value, *rows))
        return [value if index is None else next(parts) for index in indices]

    def _sum(
        self,
        node: int,
        picked: dict[int, list[Tensor]],
        apply: Callable[[int, Step, Tensor], Tensor],
    ) -> Tensor:
        """Return the sum of the steps that lead to ``node``; pops their inputs from ``picked``."""
        terms: list[Tensor] = []
        for step in self.steps[node]:
            parts = [picked[source].pop(0) for source, _ in step.parts]
            terms.append(apply(node, step, parts[0] if len(parts) == 1 else _Join.apply(*parts)))
        indices = [self._index.get(step.members) for step in self.steps[node]]
        if all(index is None for index in indices):
            total: Tensor = terms[0]
            for term in terms[1:]:
                total = total + term
            return total
        slots = [step.slot for step in self.steps[node]]
        disjoint = slots.count(slots[0])  # the first ones: a candidate has one edge per slot
        covered = sum(len(step.members) for step in self.steps[node][:disjoint])
        members = [step.members for step in self.steps[node]]
        total = _Sum.apply(self._candidates, disjoint, covered, members, indices, *terms)
        return total


class _Pick(torch.autograd.Function):
    """Picks the rows of each reader from a node's value; backward adds up in one buffer."""

    @staticmethod
    def forward(
        ctx: Any, taken: Sequence[Members], value: Tensor, *indices: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.moves = Moves(len(value), taken=[list(members) for members in taken])
        ctx.indices, ctx.shape = indices, value.shape
        return tuple(value.index_select(0, index) for index in indices)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor | None) -> tuple[Tensor | None, ...]:
        total: Tensor | None = None
        for index, error in zip(ctx.indices, errors, strict=True):
            if error is not None:
                total = error.new_zeros(ctx.shape) if total is None else total
                total.index_add_(0, index, error)
        return None, total, *(None for _ in ctx.indices)


class _Join(torch.autograd.Function):
    """Concatenates rows of different candidates."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.sizes = [len(part) for part in parts]
        ends = list(accumulate(ctx.sizes))
        put = [list(range(end - size, end)) for end, size in zip(ends, ctx.sizes, strict=True)]
        ctx.moves = Moves(ends[-1], put=put)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = errors[0].split(ctx.sizes)
        return parts


class _Sum(torch.autograd.Function):
    """Adds terms, each of some candidates, into one value; index None means all candidates."""

    @staticmethod
    def forward(
        ctx: Any,
        candidates: int,
        disjoint: int,
        covered: int,
        members: Sequence[Members],
        indices: Sequence[Tensor | None],
        *terms: Tensor,
    ) -> Tensor:
        ctx.indices = indices
        put = [None if i is None else list(m) for m, i in zip(members, indices, strict=True)]
        ctx.moves = Moves(candidates, put=put)
        shape = (candidates, *terms[0].shape[1:])
        total = terms[0].new_empty(shape) if covered == candidates else terms[0].new_zeros(shape)
        for number, (index, term) in enumerate(zip(indices, terms, strict=True)):
            if index is None:
                total.add_(term) if number >= disjoint else total.copy_(term)
            elif number < disjoint:
                total.index_copy_(0, index, term)
            else:
                total.index_add_(0, index, term)
        return total

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        parts = [error if index is None else error.index_select(0, index) for index in ctx.indices]
        return None, None, None, None, None, *parts
