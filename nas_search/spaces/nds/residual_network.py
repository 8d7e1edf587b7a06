"""Residual networks for CIFAR: a stem and three stages of basic or bottleneck blocks.

Sources: He et al. 2016, arXiv 1512.03385; Xie et al. 2017, arXiv 1611.05431; the stages of
Radosavovic et al. 2019, arXiv 1905.13214. Where a block changes channels or sides, its shortcut is
a 1x1 convolution with batch-norm.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from nas_search.spaces.chain import ChainNetwork

STRIDES = (1, 2, 2)
"""Of the first block of each stage."""

STEM_WIDTH = 16


@dataclass(frozen=True)
class Block:
    """A block as it is built.

    Attributes:
        inputs: channels.
        outputs: channels.
        stride: 1 or 2.
        inner: channels of the bottleneck; 0 for a basic block.
        groups: of the 3x3 convolution of a bottleneck.
    """

    inputs: int
    outputs: int
    stride: int
    inner: int = 0
    groups: int = 1


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a convolution without bias that keeps sides but for its stride, and batch-norm."""
    weights = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [weights, nn.BatchNorm2d(outputs)]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3 in groups and 1x1; beside the shortcut."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        inputs, outputs, stride, inner = block.inputs, block.outputs, block.stride, block.inner
        layers = (
            [
                *convolution(inputs, inner, 1),
                nn.ReLU(),
                *convolution(inner, inner, 3, stride, block.groups),
                nn.ReLU(),
                *convolution(inner, outputs, 1),
            ]
            if inner
            else [
                *convolution(inputs, outputs, 3, stride),
                nn.ReLU(),
                *convolution(outputs, outputs, 3),
            ]
        )
        self.branch = nn.Sequential(*layers)
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, 1, stride))
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, H / stride, W / stride), rounded up."""
        y: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return y


def stem(image_channels: int, channels: int) -> nn.Sequential:
    """Return the 3x3 convolution of the image, batch-norm and ReLU."""
    return nn.Sequential(*convolution(image_channels, channels, 3), nn.ReLU())


def head(channels: int, num_classes: int) -> nn.Sequential:
    """Return global average pooling and the linear classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


class NdsResidualNetwork(ChainNetwork):
    """Images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        stem_channels: int,
        stages: Sequence[Sequence[Block]],
        image_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.stem = stem(image_channels, stem_channels)
        self.cells = nn.ModuleList(
            nn.Sequential(
                OrderedDict((f"block{i}", ResidualBlock(block)) for i, block in enumerate(stage))
            )
            for stage in stages
        )
        self.head = head(stages[-1][-1].outputs, num_classes)
