"""The operations of the cells: those of DARTS, and what the four other searches have beside."""

from __future__ import annotations

from torch import nn

from nas_search.spaces.operations import (
    FactorizedReduce,
    average_pool,
    dilated_conv,
    relu_conv_bn,
    separable_conv,
)


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """Return the module of an operation; ``none`` has none."""
    kind, _, size = name.rpartition("_")
    kernel = int(size.split("x")[0]) if size[0].isdigit() else 0
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if kind == "avg_pool":
        return average_pool(stride)
    if kind == "max_pool":
        return nn.MaxPool2d(kernel, stride=stride, padding=kernel // 2)
    if kind == "sep_conv":
        return separable_conv(channels, kernel, stride)
    if kind == "dil_conv":
        return dilated_conv(channels, kernel, stride)
    if kind == "dil_sep_conv":
        once = (dilated_conv(channels, kernel, one) for one in (stride, 1))
        return nn.Sequential(*(layer for part in once for layer in part))
    if kind == "conv":
        return relu_conv_bn(channels, channels, kernel, stride)
    return _factorized(channels, int(size[-1]), stride)


def _factorized(channels: int, kernel: int, stride: int) -> nn.Sequential:
    """Return ReLU, a convolution along rows, one along columns, and batch-norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(
            channels, channels, (1, kernel), (1, stride), padding=(0, kernel // 2), bias=False
        ),
        nn.Conv2d(
            channels, channels, (kernel, 1), (stride, 1), padding=(kernel // 2, 0), bias=False
        ),
        nn.BatchNorm2d(channels),
    )
