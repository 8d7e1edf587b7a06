"""Cells of several candidates, level by level: all edges that can run at the same time run at once.

The values of a cell's nodes lie side by side, (n, R, C, H, W) for R values of whichever candidates
and n samples. Level 0 holds the inputs of the cell; an edge belongs to the level in which its
source stands, and a node to the level after the last of its edges. A cell of four nodes has four
levels at most, however many candidates there are and whichever edges they have. An operation's
weights differ from edge to edge, so each kind of operation is one call per level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nas_search.stacked.routing import Edge, Moves

Kind = tuple[str, int]
"""Name of an operation, and what else tells its calls apart: a stride, or a place in the cell."""


class Group(NamedTuple):
    """The edges of one kind in one level.

    Attributes:
        edges: (candidate, edge), in the order in which they lie side by side.
        reads: places of their inputs: among the level's values where these go through a ReLU, else
            among those of all nodes.
    """

    edges: tuple[tuple[int, Edge], ...]
    reads: Places


class Places:
    """Places along the dimension in which values lie side by side.

    Args:
        places: the numbers.
        pairs: whether what is added to a place is the sum of two numbers at most.

    Attributes:
        host: the numbers.
        device: the same on the device.
    """

    device: Tensor

    def __init__(self, places: Sequence[int], pairs: bool = False) -> None:
        self.host = list(places)
        self._in_any_order = pairs or len(set(self.host)) == len(self.host)

    def add(self, total: Tensor, rows: Tensor) -> None:
        """Add ``rows`` (n, e, ...) to ``total`` (n, R, ...); several may belong to one place."""
        if total.device.type == "cpu" or self._in_any_order:
            total.index_add_(1, self.device, rows)
        else:  # index_add_ would add them up in another order each time on a GPU
            torch.ops.aten.index_put_(total, [None, self.device], rows, True)


@dataclass(frozen=True)
class Level:
    """What runs at the same time.

    Attributes:
        begin: place of the level's first value among those of all nodes; inputs have their own.
        end: place after its last one.
        groups: by kind, in the order of the space.
        adds: places among the values of all nodes of what edges lead to, by the name of the call
            that several groups have in common; those of a group after another.
        beside: names of the calls whose errors may be parts of one tensor.
        together: places of what these lead to, one call after another.
    """

    begin: int
    end: int
    groups: dict[Kind, Group]
    adds: dict[str, Places]
    beside: tuple[str, ...]
    together: Places


class Calls(NamedTuple):
    """How a space runs its operations.

    Attributes:
        order: names of the operations in the order in which they lie side by side.
        kind: tells which call an edge is a part of.
        after_relu: whether a kind begins with a ReLU, which runs once per value.
        result: name of the call whose result a kind's is a part of.
        dense: names of the calls whose backward pass copies an error that is a part of a tensor.
    """

    order: Sequence[str]
    kind: Callable[[Edge], Kind]
    after_relu: Callable[[Kind], bool]
    result: Callable[[Kind], str]
    dense: frozenset[str]


class Levels:
    """The levels of K candidates' cells of one kind.

    Args:
        cells: edges of each candidate's cell, those of an operation ``""`` into the outputs.
        inputs: number of the cell's inputs, the first nodes.
        calls: how the space runs its operations.
        device: device of the values.

    Attributes:
        levels: in the order in which they run; the first reads the cell's inputs, value number
            input * K + candidate.
        size: number of values of all nodes, of all candidates.
        outputs: their places, those of a candidate's outputs one after another.
        owners: the candidate of each of these.
    """

    def __init__(
        self,
        cells: Sequence[Sequence[Edge]],
        inputs: int,
        calls: Calls,
        device: torch.device,
    ) -> None:
        candidates = len(cells)
        level_of: dict[tuple[int, int], int] = {}
        for number, edges in enumerate(cells):
            for node in range(inputs):
                level_of[number, node] = 0
            for edge in sorted(edges, key=lambda edge: edge.target):
                after = level_of.setdefault((number, edge.source), 1) + 1
                if edge.operation:
                    target = number, edge.target
                    level_of[target] = max(level_of.get(target, 1), after)
        nodes = sorted((level, key) for key, level in level_of.items() if level)
        place = {key: number for number, (_, key) in enumerate(nodes)}
        self.size = len(nodes)
        grouped: dict[int, dict[Kind, list[tuple[int, Edge]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        outputs: list[list[tuple[int, int]]] = [[] for _ in cells]
        terms: dict[tuple[int, int], int] = defaultdict(int)
        for number, edges in enumerate(cells):
            for edge in edges:
                if edge.operation:
                    kind = calls.kind(edge)
                    grouped[level_of[number, edge.source]][kind].append((number, edge))
                    terms[number, edge.target] += 1
                else:
                    outputs[number].append((edge.target, place[number, edge.source]))
        last = max((level for level, _ in nodes), default=0)
        begins = [sum(level < wanted for level, _ in nodes) for wanted in range(1, last + 2)]
        self.levels: list[Level] = []
        for level in range(last + 1):
            begin = begins[level - 1] if level else 0
            groups: dict[Kind, Group] = {}
            adds: dict[str, list[int]] = defaultdict(list)
            for kind in sorted(
                grouped[level], key=lambda kind: (calls.order.index(kind[0]), kind[1])
            ):
                members = grouped[level][kind]
                first = begin if calls.after_relu(kind) else 0
                reads = [
                    place[number, edge.source] - first
                    if level
                    else edge.source * candidates + number
                    for number, edge in members
                ]
                groups[kind] = Group(tuple(members), Places(reads))
                adds[calls.result(kind)] += [place[number, edge.target] for number, edge in members]
            end = begins[level] if level else inputs * candidates
            pairs = max(terms.values(), default=0) <= 2
            places = {name: Places(own, pairs) for name, own in adds.items()}
            beside = tuple(name for name in adds if name not in calls.dense)
            together = Places([own for name in beside for own in adds[name]])
            self.levels.append(Level(begin, end, groups, places, beside, together))
        self.outputs = Places([own for of_one in outputs for _, own in sorted(of_one)])
        self.owners = [number for number, of_one in enumerate(outputs) for _ in of_one]
        every = [group.reads for one in self.levels for group in one.groups.values()]
        every += [places for one in self.levels for places in one.adds.values()]
        every += [one.together for one in self.levels]
        to_device([*every, self.outputs], device)


def to_device(every: Sequence[Places], device: torch.device) -> None:
    """Move all places to ``device`` in one transfer."""
    flat = [number for places in every for number in places.host]
    moved = torch.tensor(flat, dtype=torch.long).to(device)
    for places, own in zip(every, moved.split([len(p.host) for p in every]), strict=True):
        places.device = own


def pick(readers: Sequence[Places], value: Tensor) -> tuple[Tensor, ...]:
    """Return what each of ``readers`` picks of values (n, R, ...)."""
    picked: tuple[Tensor, ...] = _Pick.apply(readers, value)
    return picked


def add(level: Level, total: Tensor, results: Mapping[str, Tensor]) -> Tensor:
    """Return ``total`` (n, R, ...) with a level's results added to it in place.

    Args:
        level: says where.
        total: values of all nodes.
        results: (n, e, ...) of each of the level's calls.
    """
    changed: Tensor = _Add.apply(level, tuple(results), total, *results.values())
    return changed


def read(level: Level, readers: Sequence[Places], total: Tensor) -> tuple[Tensor, ...]:
    """Return all values, those of one level after a ReLU, and those that each reader picks.

    Nothing else may read the values but :func:`add`, and in the end :func:`pick`.
    """
    found: tuple[Tensor, ...] = _Read.apply(level, readers, total)
    return found


def beside(parts: Sequence[Tensor]) -> Tensor:
    """Return the values of several tensors (n, r, ...) beside each other in one."""
    joined: Tensor = _Beside.apply(*parts)
    return joined


def apart(sizes: Sequence[int], after_relu: Sequence[bool], value: Tensor) -> tuple[Tensor, ...]:
    """Return consecutive parts of ``value`` (n, R, ...), some of them after a ReLU."""
    parts: tuple[Tensor, ...] = _Apart.apply(sizes, after_relu, value)
    return parts


def output(levels: Levels, candidates: int, rows: Tensor) -> Tensor:
    """Return the outputs of each candidate along the channels, (n, K, width C, H, W)."""
    joined: Tensor = _Output.apply(levels, candidates, rows)
    return joined


class _Pick(torch.autograd.Function):
    """Backward adds up in one buffer."""

    @staticmethod
    def forward(ctx: Any, readers: Sequence[Places], value: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.moves = Moves(value.shape[1], taken=[places.host for places in readers])
        ctx.readers, ctx.shape = readers, value.shape
        return tuple(value.index_select(1, places.device) for places in readers)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor | None) -> tuple[Tensor | None, ...]:
        total: Tensor | None = None
        for places, error in zip(ctx.readers, errors, strict=True):
            if error is not None:
                total = error.new_zeros(ctx.shape) if total is None else total
                places.add(total, error)
        return None, total


class _Add(torch.autograd.Function):
    """Adds results of edges, (n, e, ...) each, to the values of all nodes, in place."""

    @staticmethod
    def forward(
        ctx: Any, level: Level, names: Sequence[str], total: Tensor, *parts: Tensor
    ) -> Tensor:
        targets = [level.adds[name] for name in names]
        ctx.level, ctx.names = level, names
        ctx.moves = Moves(total.shape[1], put=[None, *(places.host for places in targets)])
        for places, part in zip(targets, parts, strict=True):
            places.add(total, part)
        ctx.mark_dirty(total)
        return total

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,), level = errors, ctx.level
        parts: dict[str, Tensor] = {}
        if level.beside:
            every = error.index_select(1, level.together.device)
            sizes = [len(level.adds[name].host) for name in level.beside]
            parts = dict(zip(level.beside, every.split(sizes, 1), strict=True))
        for name in ctx.names:
            if name not in parts:
                parts[name] = error.index_select(1, level.adds[name].device)
        return None, None, error, *(parts[name] for name in ctx.names)


class _Read(torch.autograd.Function):
    """Returns all values, those of one level after a ReLU, and those that each reader picks."""

    @staticmethod
    def forward(
        ctx: Any, level: Level, readers: Sequence[Places], total: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.level, ctx.readers, ctx.shape = level, readers, total.shape
        own = range(level.begin, level.end)
        taken = [list(range(total.shape[1])), list(own), *(places.host for places in readers)]
        ctx.moves = Moves(total.shape[1], taken=taken)
        ctx.mark_dirty(total)
        positive = total[:, level.begin : level.end].relu()
        ctx.save_for_backward(positive)
        return total, positive, *(total.index_select(1, places.device) for places in readers)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor | None) -> tuple[Tensor | None, ...]:
        total, of_positive, *picked = errors
        (positive,) = ctx.saved_tensors
        if total is None:
            total = positive.new_zeros(ctx.shape)
        # What comes back to all values is a buffer that :func:`pick` made; it is added to.
        if of_positive is not None:
            own = total[:, ctx.level.begin : ctx.level.end]
            own.add_(torch.ops.aten.threshold_backward(of_positive, positive, 0))
        for places, error in zip(ctx.readers, picked, strict=True):
            if error is not None:
                places.add(total, error)
        return None, None, total


class _Beside(torch.autograd.Function):
    """Puts values beside each other: of several tensors (n, r, ...) into one."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.sizes = [part.shape[1] for part in parts]
        begins = [sum(ctx.sizes[:number]) for number in range(len(parts) + 1)]
        put = [list(range(a, b)) for a, b in pairwise(begins)]
        ctx.moves = Moves(begins[-1], put=put)
        return torch.cat(parts, 1)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = errors[0].split(ctx.sizes, 1)
        return parts


class _Apart(torch.autograd.Function):
    """Undoes :func:`beside`: returns consecutive parts, some of them after a ReLU."""

    @staticmethod
    def forward(
        ctx: Any, sizes: Sequence[int], after_relu: Sequence[bool], value: Tensor
    ) -> tuple[Tensor, ...]:
        begins = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
        taken = [list(range(a, b)) for a, b in pairwise(begins)]
        ctx.moves = Moves(begins[-1], taken=taken)
        parts = value.split(list(sizes), 1)
        results = [
            part.relu() if relu else part for part, relu in zip(parts, after_relu, strict=True)
        ]
        ctx.save_for_backward(
            *(y if relu else None for y, relu in zip(results, after_relu, strict=True))
        )
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        parts = [
            error if y is None else torch.ops.aten.threshold_backward(error, y, 0)
            for error, y in zip(errors, ctx.saved_tensors, strict=True)
        ]
        return None, None, torch.cat(parts, 1)


class _Output(torch.autograd.Function):
    """Concatenates the outputs of each candidate along the channels, (n, K, width C, H, W)."""

    @staticmethod
    def forward(ctx: Any, levels: Levels, candidates: int, rows: Tensor) -> Tensor:
        ctx.shape = rows.shape
        ctx.moves = Moves(candidates, put=[levels.owners])
        joined: Tensor = rows.unflatten(1, (candidates, -1)).flatten(2, 3)
        return joined

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, errors[0].reshape(ctx.shape)
