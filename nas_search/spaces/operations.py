"""The operations of cells, as published by DARTS and NAS-Bench-201.

Conventions of both papers: ReLU comes first, convolutions have no bias, batch-norm comes last.
ReLU is never in place, so that recorded activations do not change. A stride of 2 maps a side of
length L to ceil(L / 2) in every operation, also for odd L, so the outputs can be added.

Sources: Liu et al. 2019 (DARTS, arXiv 1806.09055); Dong and Yang 2020 (NAS-Bench-201,
arXiv 2001.00326).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def half(length: int) -> int:
    """Return the length of a side of ``length`` pixels after a stride of 2: ceil(length / 2)."""
    return (length + 1) // 2


def relu_conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return ReLU, a square convolution of odd ``kernel`` padded to keep sides, and batch-norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _depthwise_separable(channels: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    return [
        nn.ReLU(),
        nn.Conv2d(
            channels,
            channels,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]


def separable_conv(channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return two separable convolutions as published; the first one has the stride."""
    return nn.Sequential(
        *_depthwise_separable(channels, kernel, stride, dilation=1),
        *_depthwise_separable(channels, kernel, 1, dilation=1),
    )


def dilated_conv(channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return one depthwise separable convolution of dilation 2, as published."""
    return nn.Sequential(*_depthwise_separable(channels, kernel, stride, dilation=2))


def average_pool(stride: int = 1) -> nn.AvgPool2d:
    """Return 3x3 average pooling; pixels outside the image do not count."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


def max_pool(stride: int = 1) -> nn.MaxPool2d:
    """Return 3x3 max pooling."""
    return nn.MaxPool2d(3, stride=stride, padding=1)


class FactorizedReduce(nn.Module):
    """Halve the sides: two 1x1 convolutions of stride 2, the second one pixel off, side by side.

    Args:
        inputs: channels of the input.
        outputs: channels of the output, 2 or more; an odd channel goes to the second convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first = outputs // 2
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(inputs, first, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - first, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, ceil(H/2), ceil(W/2))."""
        x = self.relu(x)
        height, width = x.shape[-2:]
        shifted = x
        if height % 2 or width % 2:
            # An odd side has one more even pixel than odd ones; a row of zeros compensates.
            shifted = functional.pad(x, (0, width % 2, 0, height % 2))
        y: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted[:, :, 1:, 1:])], dim=1))
        return y


class ResidualBlock(nn.Module):
    """NAS-Bench-201's block of stride 2: two 3x3 convolutions beside pooling and a 1x1 one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = relu_conv_bn(inputs, outputs, 3, stride=2)
        self.second = relu_conv_bn(outputs, outputs, 3)
        # ceil_mode affects only odd sides, where it matches the convolutions.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, ceil(H/2), ceil(W/2))."""
        y: Tensor = self.shortcut(x) + self.second(self.first(x))
        return y


def summed(
    cell: nn.Module, incoming: Sequence[tuple[str, int]], nodes: Sequence[Tensor]
) -> Tensor | None:
    """Return the sum of a node's edges; None where it has none.

    Args:
        cell: whose submodules are the operations.
        incoming: name of the submodule, and number of the node that it reads, of each edge.
        nodes: values of the nodes so far.
    """
    value: Tensor | None = None
    for name, source in incoming:
        term = cell.get_submodule(name)(nodes[source])
        value = term if value is None else value + term
    return value


def edge_operations(network: nn.Module, cell: type[nn.Module]) -> list[nn.Module]:
    """Return the operations on the edges of all cells of a class, without identities.

    Their names begin with ``node``, unlike those of what prepares the inputs of a cell.
    """
    return [
        operation
        for one in network.modules()
        if isinstance(one, cell)
        for name, operation in one.named_children()
        if name.startswith("node") and not isinstance(operation, nn.Identity)
    ]
