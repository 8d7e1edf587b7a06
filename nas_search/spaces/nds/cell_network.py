"""The network of two cells: DARTS's for CIFAR, with cells of any number of nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_search.spaces.darts.network import CellPlan, DartsMacro, head, plan_cells, preprocess, stem
from nas_search.spaces.nds.operations import operation
from nas_search.spaces.operations import half
from nas_search.spaces.parts import Part

Edge = tuple[str, int]
"""(operation, node that it reads); edges 2k and 2k + 1 of a cell lead into node k + 2."""

Cell = tuple[tuple[Edge, ...], tuple[int, ...]]
"""Edges, and the nodes that are concatenated."""


class NdsCell(nn.Module):
    """One cell: two inputs, nodes that each add two edges, and a concatenation of nodes."""

    def __init__(self, edges: tuple[Edge, ...], concat: tuple[int, ...], plan: CellPlan) -> None:
        super().__init__()
        self._concat, self._channels = concat, plan.channels
        self._stride = 2 if plan.reduction else 1
        self.preprocess0 = preprocess(plan.inputs[0], plan.channels, plan.halve_first)
        self.preprocess1 = preprocess(plan.inputs[1], plan.channels, False)
        self._incoming: list[list[tuple[str, int]]] = [[] for _ in range(2 + len(edges) // 2)]
        for position, (name, source) in enumerate(edges):
            if name != "none":
                node, slot = 2 + position // 2, position % 2
                place = f"node{node}_slot{slot}_{name}"
                stride = self._stride if source < 2 else 1
                self.add_module(place, operation(name, plan.channels, stride))
                self._incoming[node].append((place, source))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map the outputs of the second-to-last and the last cell to the output of this one."""
        nodes = [self.preprocess0(first), self.preprocess1(second)]
        for incoming in self._incoming[2:]:
            value: Tensor | None = None
            for place, source in incoming:
                term = self.get_submodule(place)(nodes[source])
                value = term if value is None else value + term
            nodes.append(self._zero(nodes[1]) if value is None else value)
        return torch.cat([nodes[node] for node in self._concat], dim=1)

    def _zero(self, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        if self._stride == 2:
            height, width = half(height), half(width)
        return like.new_zeros(like.shape[0], self._channels, height, width)


class NdsCellNetwork(nn.Module):
    """Images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        normal: Cell,
        reduce: Cell,
        depth: int,
        width: int,
        image_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        plans = _plans(normal, reduce, depth, width)
        self.stem = stem(image_channels, width)
        self.cells = nn.ModuleList(
            NdsCell(*(reduce if plan.reduction else normal), plan) for plan in plans
        )
        self.head = head(_outputs(normal, reduce, plans[-1]), num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of ``images`` (n, channels, H, W)."""
        first = second = self.stem(images)
        for cell in self.cells:
            first, second = second, cell(first, second)
        logits: Tensor = self.head(second)
        return logits


def cell_parts(
    normal: Cell,
    reduce: Cell,
    depth: int,
    width: int,
    input_shape: tuple[int, int, int],
    num_classes: int,
) -> Counter[Part]:
    """Return the parts of the network, each as often as it occurs."""
    channels, height, rows = input_shape
    parts = Counter([Part(stem, (channels, width), (channels, height, rows))])
    before = last = (height, rows)
    plans = _plans(normal, reduce, depth, width)
    for plan in plans:
        older, newer = plan.inputs
        own = plan.channels
        parts[Part(preprocess, (older, own, plan.halve_first), (older, *before))] += 1
        parts[Part(preprocess, (newer, own, False), (newer, *last))] += 1
        halved = (half(last[0]), half(last[1])) if plan.reduction else last
        for name, source in (reduce if plan.reduction else normal)[0]:
            if name != "none":
                of_input = source < 2
                stride = 2 if plan.reduction and of_input else 1
                sides = last if of_input else halved
                parts[Part(operation, (name, own, stride), (own, *sides))] += 1
        before, last = last, halved
    outputs = _outputs(normal, reduce, plans[-1])
    parts[Part(head, (outputs, num_classes), (outputs, *last))] += 1
    return parts


def _plans(normal: Cell, reduce: Cell, depth: int, width: int) -> Sequence[CellPlan]:
    return plan_cells(DartsMacro(depth, width), len(normal[1]), len(reduce[1]))


def _outputs(normal: Cell, reduce: Cell, last: CellPlan) -> int:
    return last.channels * len((reduce if last.reduction else normal)[1])
