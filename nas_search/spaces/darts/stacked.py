"""Several DARTS candidates with equal numbers of concatenated nodes in one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nas_search.spaces.darts.genotype import NODES, Genotype
from nas_search.spaces.darts.genotype import Edge as Gene
from nas_search.spaces.darts.network import (
    MAKERS,
    CellPlan,
    DartsMacro,
    head,
    plan_cells,
    preprocess,
    stem,
)
from nas_search.spaces.darts.side_by_side import EdgePlan, run_cell
from nas_search.spaces.operations import half
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.network import Pool, StackedNetwork, apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step, live_edges

FIRST_OUTPUT = 2 + NODES
"""Node number of the first slot of the concatenation; they follow the cell's nodes."""

CONVOLUTIONS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""Operations with the same weights at both strides."""


class StackedDartsCell(nn.Module):
    """A cell that runs each operation on the samples of the candidates that have it."""

    def __init__(
        self,
        name: str,
        plan: CellPlan,
        width: int,
        pool: Pool,
        routing: Routing,
        candidates: Candidates,
    ) -> None:
        super().__init__()
        self._name = name
        self._plan, self._routing, self._candidates = plan, routing, candidates
        self._outputs = range(FIRST_OUTPUT, FIRST_OUTPUT + width)
        (first, second), channels = plan.inputs, plan.channels
        self.preprocess0 = pool(
            f"{name}.preprocess0", preprocess, first, channels, plan.halve_first
        )
        self.preprocess1 = pool(f"{name}.preprocess1", preprocess, second, channels, False)
        for node in range(2, FIRST_OUTPUT):
            for step in routing.steps[node]:
                make = MAKERS[step.operation]
                assert make is not None
                if step.operation in CONVOLUTIONS or _halving_skip(step):
                    child = _name(node, step)
                    stride = 1 if step.operation in CONVOLUTIONS else 2
                    self.add_module(child, pool(f"{name}.{child}", make, channels, stride))
                else:
                    self.add_module(_weightless(step), make(channels, step.stride))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map the outputs of the two previous cells, (K, n, C, H, W) each, to that of this one."""
        every = self._candidates.all
        inputs = [
            apply_to_members(self._candidates, every, self.preprocess0, first),
            apply_to_members(self._candidates, every, self.preprocess1, second),
        ]

        def zero() -> Tensor:
            *shape, height, width = inputs[1].shape
            if self._plan.reduction:
                height, width = half(height), half(width)
            return inputs[1].new_zeros(*shape, height, width)

        return torch.cat(self._routing.run(inputs, self._outputs, self._run_step, zero), dim=2)

    def run_levels(self, plan: EdgePlan, first: Tensor, second: Tensor) -> Tensor:
        """Map the outputs of the two previous cells, (n, K, C, H, W) each, to that of this one."""
        return run_cell(self, self._name, plan, self._candidates, first, second)

    def _run_step(self, node: int, step: Step, x: Tensor) -> Tensor:
        if node >= FIRST_OUTPUT:
            return x
        if step.operation in CONVOLUTIONS:
            module = self.get_submodule(_name(node, step))
            # One set of weights for both strides; the stride is that of the first convolution.
            cast(nn.Conv2d, module.get_submodule("1")).stride = (step.stride, step.stride)
        elif _halving_skip(step):
            module = self.get_submodule(_name(node, step))
        else:
            module = self.get_submodule(_weightless(step))
        return apply_to_members(self._candidates, step.members, module, x)


def _name(node: int, step: Step) -> str:
    return f"node{node}_slot{step.slot}_{step.operation}"


def _weightless(step: Step) -> str:
    return f"{step.operation}_stride{step.stride}"


def _halving_skip(step: Step) -> bool:
    return step.operation == "skip_connect" and step.stride == 2


class StackedDartsNetwork(StackedNetwork):
    """See :class:`nas_search.stacked.network.StackedNetwork`; without the auxiliary head."""

    runs_level_by_level = True

    def __init__(
        self,
        genotypes: Sequence[Genotype],
        macro: DartsMacro,
        image_channels: int,
        num_classes: int,
        pool: Pool,
        include_dead_branches: bool,
    ) -> None:
        normal = [_edges(genotype.normal, genotype.normal_concat, 1) for genotype in genotypes]
        reduce = [_edges(genotype.reduce, genotype.reduce_concat, 2) for genotype in genotypes]
        super().__init__(len(genotypes))
        widths = {
            False: len(genotypes[0].normal_concat),
            True: len(genotypes[0].reduce_concat),
        }
        plans = plan_cells(macro, widths[False], widths[True])
        self.stem = pool("stem", stem, image_channels, macro.channels)
        device = device_of(self.stem)
        if not include_dead_branches:
            normal, reduce = ([_live(edges) for edges in cells] for cells in (normal, reduce))
        routings = {False: Routing(normal, device), True: Routing(reduce, device)}
        self._edges = {False: normal, True: reduce}
        self._reduction = [plan.reduction for plan in plans]
        self.cells = nn.ModuleList(
            StackedDartsCell(
                f"cells.{number}",
                plan,
                widths[plan.reduction],
                pool,
                routings[plan.reduction],
                self.candidates,
            )
            for number, plan in enumerate(plans)
        )
        channels = plans[-1].channels * widths[plans[-1].reduction]
        self.head = pool("head", head, channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (K n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(self.fold(images))
        if self.candidates.edge_layers is not None:
            return self._run_levels(x)
        first = second = x.unflatten(0, (len(self.candidates), -1))
        for cell in self.cells:
            first, second = second, cell(first, second)
        logits: Tensor = self.head(second.flatten(0, 1))
        return logits

    def _run_levels(self, x: Tensor) -> Tensor:
        """Return the logits from the stem's output (K n, C, H, W), level by level."""
        plans = {kind: EdgePlan(edges, x.device) for kind, edges in self._edges.items()}
        first = second = x.unflatten(0, (len(self.candidates), -1)).transpose(0, 1).contiguous()
        for cell, reduction in zip(self.cells, self._reduction, strict=True):
            plan = plans[reduction]
            first, second = second, cast(StackedDartsCell, cell).run_levels(plan, first, second)
        logits: Tensor = self.head(second.transpose(0, 1).flatten(0, 1))
        return logits


def _edges(genes: tuple[Gene, ...], concat: tuple[int, ...], stride: int) -> list[Edge]:
    """Return the edges of a cell without ``none``, and those into the slots of the output."""
    edges = [
        Edge(2 + position // 2, position % 2, operation, stride if source < 2 else 1, source)
        for position, (operation, source) in enumerate(genes)
        if operation != "none"
    ]
    outputs = range(FIRST_OUTPUT, FIRST_OUTPUT + len(concat))
    edges += [Edge(output, 0, "", 1, node) for output, node in zip(outputs, concat, strict=True)]
    return edges


def _live(edges: list[Edge]) -> list[Edge]:
    """Return the edges of a cell that reach its output."""
    return live_edges(edges, [edge.target for edge in edges if edge.target >= FIRST_OUTPUT])
