"""Cells of several candidates in one: which operation reads whose rows, and where they go.

At every place of the cell each operation runs once, on the rows of those candidates that have it
there. Rows are picked from the values of the nodes, (K, n, C, H, W) for K candidates, and added
into the value of the node that the operation leads to. Where all candidates agree, nothing is
copied.
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
    """How a node of autograd's graph moves candidates, noted as ``moves`` on the node.

    Attributes:
        size: number of candidates that the node holds.
        taken: per output, those of them that it returns, by place; empty where it returns all.
        put: per tensor that it reads, the places where its candidates go; None for all places, and
            empty where every tensor has them in place.
    """

    size: int
    taken: Sequence[list[int]] = ()
    put: Sequence[list[int] | None] = ()


class Edge(NamedTuple):
    """An operation of one candidate's cell.

    Attributes:
        target: node that it leads to; more than any node that it reads.
        place: place among the inputs of that node; a candidate has one edge there at most.
        operation: name of the operation there.
        stride: its stride.
        source: node that it reads.
    """

    target: int
    place: int
    operation: str
    stride: int
    source: int


@dataclass(frozen=True)
class Step:
    """One operation at one place, for all candidates that have it there.

    Attributes:
        place: place among the inputs of the node that it leads to.
        operation: name of the operation there.
        stride: its stride.
        parts: (node, candidates that read it), in the order of the rows.
    """

    place: int
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
        cells: of each candidate the edges of its cell, ``none`` left out.
        device: where the rows are.

    Attributes:
        steps: what leads to each node.
    """

    def __init__(self, cells: Sequence[Sequence[Edge]], device: torch.device) -> None:
        self._candidates = len(cells)
        grouped: dict[tuple[int, int, str, int], dict[int, list[int]]] = defaultdict(dict)
        for number, edges in enumerate(cells):
            for target, place, operation, stride, source in edges:
                parts = grouped[target, place, operation, stride]
                parts.setdefault(source, []).append(number)
        self.steps: dict[int, list[Step]] = defaultdict(list)
        self._readers: dict[int, list[Members]] = defaultdict(list)
        for target, place, operation, stride in sorted(grouped):
            parts = grouped[target, place, operation, stride]
            step = Step(
                place, operation, stride, tuple((s, tuple(parts[s])) for s in sorted(parts))
            )
            self.steps[target].append(step)
            for source, members in step.parts:
                self._readers[source].append(members)
        self._index = self._indices(device)

    def _indices(self, device: torch.device) -> dict[Members, Tensor]:
        """Return what picks each set of members, moved to the device in one transfer."""
        wanted = dict.fromkeys(members for of_one in self._readers.values() for members in of_one)
        wanted |= dict.fromkeys(step.members for of_one in self.steps.values() for step in of_one)
        everyone = tuple(range(self._candidates))
        chosen = [members for members in wanted if members != everyone]
        flat = torch.tensor([member for members in chosen for member in members], dtype=torch.long)
        parts = flat.to(device).split([len(members) for members in chosen])
        return dict(zip(chosen, parts, strict=True))

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
            outputs: the nodes that are wanted.
            apply: from a node, a step that leads to it and what the step reads, (k, n, C, H, W), to
                the step's result for its members.
            zero: makes the value of a node that nothing leads to.
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
        """Return the rows that each of ``readers`` reads of a node's value, as a queue."""
        indices = [self._index.get(members) for members in readers]
        if all(index is None for index in indices):
            return [value] * len(readers)
        chosen = [(m, i) for m, i in zip(readers, indices, strict=True) if i is not None]
        taken, chosen_indices = zip(*chosen, strict=True)
        parts = iter(_Pick.apply(taken, value, *chosen_indices))
        return [value if index is None else next(parts) for index in indices]

    def _sum(
        self,
        node: int,
        picked: dict[int, list[Tensor]],
        apply: Callable[[int, Step, Tensor], Tensor],
    ) -> Tensor:
        """Return the sum of what leads to ``node``; takes what it reads from ``picked``."""
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
        places = [step.place for step in self.steps[node]]
        disjoint = places.count(places[0])  # the first ones: a candidate has one edge at a place
        covered = sum(len(step.members) for step in self.steps[node][:disjoint])
        members = [step.members for step in self.steps[node]]
        total = _Sum.apply(self._candidates, disjoint, covered, members, indices, *terms)
        return total


class _Pick(torch.autograd.Function):
    """From a node's value to the rows of each reader; backward adds up in one buffer."""

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
    """Puts the rows of some candidates after those of others."""

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
    """Adds terms of some candidates each into one value; None indexes all candidates."""

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
