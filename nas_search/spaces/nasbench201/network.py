"""NAS-Bench-201's skeleton: three stages of equal cells with a residual block between stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.spaces.arguments import check_int
from nas_search.spaces.chain import ChainNetwork
from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.operations import ResidualBlock, average_pool, relu_conv_bn, summed

OPERATIONS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "skip_connect": lambda channels: nn.Identity(),
    "nor_conv_1x1": lambda channels: relu_conv_bn(channels, channels, 1),
    "nor_conv_3x3": lambda channels: relu_conv_bn(channels, channels, 3),
    "avg_pool_3x3": lambda channels: average_pool(),
}
"""Functions from channels to the module of each published operation; None for ``none``."""

SMALLEST_IMAGE = 5
"""Smallest side in pixels: halving twice leaves 2x2, so that batch-norm has a variance."""


@dataclass(frozen=True)
class Nasbench201Macro:
    """Sizes of the skeleton; the defaults are those of the benchmark.

    Attributes:
        cells: cells in each of the three stages, 1 or more.
        channels: channels of the first stage, 1 or more; doubled at each residual block.
    """

    cells: int = 5
    channels: int = 16

    def __post_init__(self) -> None:
        check_int("cells", self.cells, 1)
        check_int("channels", self.channels, 1)


class Nasbench201Cell(nn.Module):
    """A cell of four nodes; node 0 is its input, node 3 its output.

    Args:
        operations: one operation per edge in :data:`EDGES`.
        channels: channels of every node.
    """

    def __init__(self, operations: tuple[str, ...], channels: int) -> None:
        super().__init__()
        self._incoming: list[list[tuple[str, int]]] = [[], [], [], []]
        for (source, target), operation in zip(EDGES, operations, strict=True):
            make = OPERATIONS[operation]
            if make is not None:
                name = f"node{target}_from{source}_{operation}"
                self.add_module(name, make(channels))
                self._incoming[target].append((name, source))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, H, W) to the same shape."""
        nodes = [x]
        for incoming in self._incoming[1:]:
            value = summed(self, incoming, nodes)
            nodes.append(torch.zeros_like(x) if value is None else value)
        return nodes[3]


class Nasbench201Network(ChainNetwork):
    """The network of one cell; images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        operations: tuple[str, ...],
        macro: Nasbench201Macro,
        image_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        channels = macro.channels
        self.stem = stem(image_channels, channels)
        cells: list[nn.Module] = []
        for stage in range(3):
            if stage:
                cells.append(ResidualBlock(channels, 2 * channels))
                channels *= 2
            cells.extend(Nasbench201Cell(operations, channels) for _ in range(macro.cells))
        self.cells = nn.ModuleList(cells)
        self.head = head(channels, num_classes)


def stem(image_channels: int, channels: int) -> nn.Sequential:
    """Return the 3x3 convolution of the image, and batch-norm."""
    return nn.Sequential(
        nn.Conv2d(image_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
    )


def head(channels: int, num_classes: int) -> nn.Sequential:
    """Return batch-norm, ReLU, global average pooling and the linear classifier."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, num_classes),
    )
