"""Networks of one-dimensional convolutions: stages of blocks over time.

A block is two convolutions with batch-norm and ReLU. With a residual connection it is a basic block
of ResNet (He et al. 2016, arXiv 1512.03385) in one dimension, as Wang et al. 2017, arXiv
1611.06455, use it for series; dilation as in Bai et al. 2018, arXiv 1803.01271, but not causal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.spaces.arguments import check_int
from nas_search.spaces.chain import ChainNetwork
from nas_search.spaces.operations import half

POOLS = ("stride", "max", "avg", "none")
"""How a stage halves the length: stride 2 of its first convolution, pooling of pairs, or not."""

LEAST_LENGTH = 2
"""Steps that are left at least: batch-norm of a single series needs a variance."""

STEM_KERNEL = 7


@dataclass(frozen=True)
class Stage:
    """A stage: ``depth`` blocks, and how it halves the length before or in the first of them.

    Attributes:
        depth: number of blocks.
        kernel: length of the convolutions' kernels, odd.
        width: output channels.
        dilation: steps between neighbors under a kernel.
        pool: one of :data:`POOLS`.
        residual: whether a block adds its input to its output.
    """

    depth: int
    kernel: int
    width: int
    dilation: int
    pool: str
    residual: bool


@dataclass(frozen=True)
class Conv1dMacro:
    """Sizes of the skeleton.

    Attributes:
        stem: channels of the first convolution.
        stem_stride: its stride, more than 1 for signals of many thousand steps.
        multiplier: of all channels.
    """

    stem: int = 32
    stem_stride: int = 1
    multiplier: float = 1.0

    def __post_init__(self) -> None:
        check_int("stem", self.stem, 1)
        check_int("stem_stride", self.stem_stride, 1)
        if not 0 < self.multiplier <= 64:
            raise InputError(f"multiplier must be more than 0, at most 64, got {self.multiplier}")


@dataclass(frozen=True)
class Block:
    """A block as it is built; all that its constructor is told."""

    inputs: int
    outputs: int
    kernel: int
    dilation: int
    pool: str
    residual: bool


@dataclass(frozen=True)
class Plan:
    """A network as it is built: its stem's channels and stride, and its stages' blocks."""

    stem: int
    stem_stride: int
    stages: tuple[tuple[Block, ...], ...]


def plan(stages: Sequence[Stage], macro: Conv1dMacro, length: int) -> Plan:
    """Return what the network is built of; lengths of 2 and 3 steps are not halved further."""
    channels = stem = scaled(macro.stem, macro.multiplier)
    stem_stride = max(1, min(macro.stem_stride, length // LEAST_LENGTH))
    length = -(-length // stem_stride)
    built = []
    for stage in stages:
        outputs = scaled(stage.width, macro.multiplier)
        halves = stage.pool != "none" and half(length) >= LEAST_LENGTH
        length = half(length) if halves else length
        blocks = []
        for number in range(stage.depth):
            pool = stage.pool if halves and number == 0 else "none"
            blocks.append(
                Block(channels, outputs, stage.kernel, stage.dilation, pool, stage.residual)
            )
            channels = outputs
        built.append(tuple(blocks))
    return Plan(stem, stem_stride, tuple(built))


def scaled(channels: int, multiplier: float) -> int:
    """Return ``multiplier`` times the channels, rounded, 1 or more."""
    return max(1, round(channels * multiplier))


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return a convolution that keeps the length but for its stride, and batch-norm."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm1d(outputs),
    )


class ResidualBlock(nn.Module):
    """Pooling if the stage begins so, then two convolutions, and the input added if residual."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        inputs, outputs = block.inputs, block.outputs
        pools = {"max": nn.MaxPool1d, "avg": nn.AvgPool1d}
        stride = 2 if block.pool == "stride" else 1
        self.pool = pools[block.pool](2, ceil_mode=True) if block.pool in pools else nn.Identity()
        self.branch = nn.Sequential(
            OrderedDict(
                first=convolution(inputs, outputs, block.kernel, stride, block.dilation),
                relu=nn.ReLU(),
                second=convolution(outputs, outputs, block.kernel, 1, block.dilation),
            )
        )
        self.residual = block.residual
        projects = block.residual and (stride == 2 or inputs != outputs)
        self.shortcut = convolution(inputs, outputs, 1, stride) if projects else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, L) to (n, outputs, L), or half the length, rounded up."""
        x = self.pool(x)
        y: Tensor = self.branch(x)
        if self.residual:
            y = y + self.shortcut(x)
        y = self.relu(y)
        return y


class Stem(nn.Module):
    """The first convolution; the rows of an image are channels of its series."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.convolution = convolution(inputs, channels, STEM_KERNEL, stride)
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, C, rows, L), C times rows of them, to (n, channels, L / stride), rounded up."""
        y: Tensor = self.relu(self.convolution(images.flatten(1, 2)))
        return y


def head(inputs: int, num_classes: int) -> nn.Sequential:
    """Return mean over time, and classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, num_classes))


class OfOneRow(nn.Module):
    """A part of the network by itself: it takes a series as an image of one row."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, C, 1, L) to what the part makes of (n, C, L)."""
        y: Tensor = self.part(images.flatten(1, 2))
        return y


def block_alone(block: Block) -> nn.Module:
    """Return a block that takes images of one row."""
    return OfOneRow(ResidualBlock(block))


def head_alone(inputs: int, num_classes: int) -> nn.Module:
    """Return a head that takes images of one row."""
    return OfOneRow(head(inputs, num_classes))


class Conv1dNetwork(ChainNetwork):
    """The network of a plan; series (n, C, rows, L) to logits (n, num_classes)."""

    def __init__(self, plan: Plan, input_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = Stem(input_channels, plan.stem, plan.stem_stride)
        self.cells = nn.ModuleList(
            nn.Sequential(
                OrderedDict((f"block{i}", ResidualBlock(block)) for i, block in enumerate(stage))
            )
            for stage in plan.stages
        )
        self.head = head(plan.stages[-1][-1].outputs, num_classes)
