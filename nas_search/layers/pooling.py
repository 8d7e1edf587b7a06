"""Average pooling on a CPU, written as a depthwise convolution with ones.

The library's CPU code for it takes five times as long as a depthwise convolution of the same shape,
forward and backward; the sums are the same to the last digit.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.kernels import depthwise
from nas_search.layers.convolution import Size, pair
from nas_search.layers.convolution_gradient import Pair
from nas_search.layers.recorder import Recorder
from nas_search.layers.rule import LAYERS, LayerRule


def arguments(module: nn.AvgPool2d) -> dict[str, Any]:
    """Return what ``module`` passes to ``F.avg_pool2d`` beside its input."""
    return {
        "kernel_size": module.kernel_size,
        "stride": module.stride,
        "padding": module.padding,
        "ceil_mode": module.ceil_mode,
        "count_include_pad": module.count_include_pad,
        "divisor_override": module.divisor_override,
    }


def per_sample(
    recorder: Recorder,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return ``F.avg_pool2d`` of ``input`` (m, C, H, W)."""
    return average(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def average(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return ``F.avg_pool2d`` of ``x`` (m, C, H, W), by what is fastest on its device."""
    if x.device.type != "cpu" or x.dim() != 4 or ceil_mode or divisor_override is not None:
        return F.avg_pool2d(
            x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    kernel, paddings = pair(kernel_size), pair(padding)
    step = kernel if stride is None or stride == [] else pair(stride)
    ones = x.new_ones(x.shape[1], 1, *kernel)
    inside = F.pad(x.new_ones(1, 1, *x.shape[2:]), _sides(paddings), value=count_include_pad)
    counts = F.conv2d(inside, ones[:1], stride=step)
    y: Tensor = _AveragePool.apply(x, ones, counts, step, paddings)
    return y


def _sides(padding: Pair) -> list[int]:
    return [padding[1], padding[1], padding[0], padding[0]]


class _AveragePool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, ones: Tensor, counts: Tensor, stride: Pair, padding: Pair
    ) -> Tensor:
        ctx.save_for_backward(x, ones, counts)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, ones, None, stride, padding, 1, x.shape[1]).div_(counts)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        x, ones, counts = ctx.saved_tensors
        error = errors[0] / counts
        grad_x = depthwise.input_gradient(x, error, ones, ctx.stride, ctx.padding, (1, 1))
        return grad_x, None, None, None, None


LAYERS.add(
    LayerRule(
        name="avg_pool2d",
        kinds=(nn.AvgPool2d,),
        functions=(F.avg_pool2d,),
        arguments=arguments,
        per_sample=per_sample,
    )
)
