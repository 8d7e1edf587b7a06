"""The CIFAR network of DARTS: a stem, a chain of cells with two reductions, a linear classifier.

Source: Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055, section 3.1 and appendix A.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.spaces.arguments import check_int
from nas_search.spaces.darts.genotype import Edge, Genotype
from nas_search.spaces.operations import (
    FactorizedReduce,
    average_pool,
    dilated_conv,
    half,
    max_pool,
    relu_conv_bn,
    separable_conv,
    summed,
)

STEM_MULTIPLIER = 3
SMALLEST_IMAGE = 5
"""Smallest side in pixels: two reductions leave 2x2, so that batch-norm has a variance."""
SMALLEST_AUXILIARY_IMAGE = 29
"""Smallest side with the auxiliary head, which needs 8x8 after two reductions."""


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)


MAKERS: dict[str, Callable[[int, int], nn.Module] | None] = {
    "none": None,
    "max_pool_3x3": lambda channels, stride: max_pool(stride),
    "avg_pool_3x3": lambda channels, stride: average_pool(stride),
    "skip_connect": _skip,
    "sep_conv_3x3": lambda channels, stride: separable_conv(channels, 3, stride),
    "sep_conv_5x5": lambda channels, stride: separable_conv(channels, 5, stride),
    "dil_conv_3x3": lambda channels, stride: dilated_conv(channels, 3, stride),
    "dil_conv_5x5": lambda channels, stride: dilated_conv(channels, 5, stride),
}
"""Functions from (channels, stride) to the module of each operation; None for ``none``."""

Operations = Callable[[str, int, int], nn.Module]
"""Maps the name of an operation other than ``none``, channels and stride to its module."""


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """Return the module of an operation other than ``none``."""
    make = MAKERS[name]
    assert make is not None
    return make(channels, stride)


@dataclass(frozen=True)
class DartsMacro:
    """Sizes of the skeleton; the defaults are those of the published CIFAR-10 network.

    Attributes:
        cells: number of cells, 3 or more; those at 1/3 and 2/3 of the depth are reduction cells.
        channels: channels of a node in the first cells, 1 or more; doubled by each reduction cell.
        auxiliary: build the auxiliary head; in train mode the network then returns two logits.
    """

    cells: int = 20
    channels: int = 36
    auxiliary: bool = field(default=False, metadata={"training": True})

    def __post_init__(self) -> None:
        check_int("cells", self.cells, 3)
        check_int("channels", self.channels, 1)
        if not isinstance(self.auxiliary, bool):
            raise InputError(f"auxiliary must be true or false, got {self.auxiliary!r}")


@dataclass(frozen=True)
class CellPlan:
    """The properties of a cell that follow from its position in the skeleton.

    Attributes:
        reduction: whether it is a reduction cell.
        halve_first: whether the previous cell is one, so that input 0 is twice as large as input 1.
        inputs: channels of the two inputs.
        channels: channels of every node.
    """

    reduction: bool
    halve_first: bool
    inputs: tuple[int, int]
    channels: int


def plan_cells(macro: DartsMacro, normal_width: int, reduce_width: int) -> tuple[CellPlan, ...]:
    """Return one plan per cell; widths are the numbers of concatenated nodes of the two cells."""
    channels = macro.channels
    before = last = STEM_MULTIPLIER * channels
    plans: list[CellPlan] = []
    for index in range(macro.cells):
        reduction = index in (macro.cells // 3, 2 * macro.cells // 3)
        if reduction:
            channels *= 2
        halve_first = bool(plans) and plans[-1].reduction
        plans.append(CellPlan(reduction, halve_first, (before, last), channels))
        before, last = last, channels * (reduce_width if reduction else normal_width)
    return tuple(plans)


def preprocess(inputs: int, channels: int, halve: bool) -> nn.Module:
    """Return the 1x1 map of a cell's input to ``channels`` channels."""
    return FactorizedReduce(inputs, channels) if halve else relu_conv_bn(inputs, channels, 1)


class DartsCell(nn.Module):
    """One cell: two inputs, nodes that each add two edges, and a concatenation of nodes.

    Args:
        edges: (operation, node that it reads); edges 2k and 2k + 1 lead into node k + 2.
        concat: the nodes that are concatenated.
        plan: its place in the skeleton.
        make: makes the module of an operation of some channels and a stride.
    """

    def __init__(
        self,
        edges: tuple[Edge, ...],
        concat: tuple[int, ...],
        plan: CellPlan,
        make: Operations,
    ) -> None:
        super().__init__()
        self._concat = concat
        self._channels = plan.channels
        self._stride = 2 if plan.reduction else 1
        self.preprocess0 = preprocess(plan.inputs[0], plan.channels, plan.halve_first)
        self.preprocess1 = preprocess(plan.inputs[1], plan.channels, False)
        self._incoming: list[list[tuple[str, int]]] = [[] for _ in range(2 + len(edges) // 2)]
        for position, (name, source) in enumerate(edges):
            if name != "none":
                node, slot = 2 + position // 2, position % 2
                place = f"node{node}_slot{slot}_{name}"
                stride = self._stride if source < 2 else 1
                self.add_module(place, make(name, plan.channels, stride))
                self._incoming[node].append((place, source))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map the outputs of the second-to-last and the last cell to the output of this one."""
        nodes = [self.preprocess0(first), self.preprocess1(second)]
        for incoming in self._incoming[2:]:
            value = summed(self, incoming, nodes)
            nodes.append(self._zero(nodes[1]) if value is None else value)
        return torch.cat([nodes[node] for node in self._concat], dim=1)

    def _zero(self, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        if self._stride == 2:
            height, width = half(height), half(width)
        return like.new_zeros(like.shape[0], self._channels, height, width)


class DartsNetwork(nn.Module):
    """The network of a genotype; images (n, channels, H, W) to logits (n, num_classes).

    With the auxiliary head, ``forward`` in train mode returns (logits, auxiliary logits).
    """

    def __init__(
        self, genotype: Genotype, macro: DartsMacro, image_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        plans = plan_cells(macro, len(genotype.normal_concat), len(genotype.reduce_concat))
        self.stem = stem(image_channels, macro.channels)
        self.cells = nn.ModuleList(
            DartsCell(genotype.reduce, genotype.reduce_concat, plan, operation)
            if plan.reduction
            else DartsCell(genotype.normal, genotype.normal_concat, plan, operation)
            for plan in plans
        )
        self._auxiliary_at = 2 * macro.cells // 3
        widths = {False: len(genotype.normal_concat), True: len(genotype.reduce_concat)}
        self.head = head(plans[-1].channels * widths[plans[-1].reduction], num_classes)
        self.auxiliary_head: nn.Module | None = None
        if macro.auxiliary:
            channels = plans[self._auxiliary_at].channels * widths[True]
            self.auxiliary_head = auxiliary_head(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the logits of ``images`` (n, channels, H, W)."""
        auxiliary: Tensor | None = None
        first = second = self.stem(images)
        for index, cell in enumerate(self.cells):
            first, second = second, cell(first, second)
            if self.training and self.auxiliary_head is not None and index == self._auxiliary_at:
                auxiliary = self.auxiliary_head(second)
        logits = self.head(second)
        return logits if auxiliary is None else (logits, auxiliary)


def stem(image_channels: int, channels: int) -> nn.Sequential:
    """Return the 3x3 convolution to three times the channels, and batch-norm."""
    outputs = STEM_MULTIPLIER * channels
    return nn.Sequential(
        nn.Conv2d(image_channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def head(channels: int, num_classes: int) -> nn.Sequential:
    """Return global average pooling and the linear classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def auxiliary_head(channels: int, num_classes: int) -> nn.Sequential:
    """Return the published auxiliary classifier, on the output of the second reduction cell.

    At 8x8, the published size, the global pooling is the identity; larger maps are averaged.
    """
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=3, count_include_pad=False),
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        nn.BatchNorm2d(768),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(768, num_classes),
    )
