"""Two-dimensional convolutions: any stride, padding, dilation and groups."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.convolution_gradient import Geometry, Pair, input_gradient, sample_gradient
from nas_search.layers.initial_weights import Distribution, Scheme, weight_and_bias
from nas_search.layers.recorder import Recorder, Recording, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient
from nas_search.stacked.candidates import one_after_another, side_by_side

Size = int | list[int] | tuple[int, ...]
Uses = tuple[Recording | None, Recording | None]


def pair(value: Size) -> Pair:
    """Return a size as (vertical, horizontal)."""
    if isinstance(value, int):
        return value, value
    return (value[0], value[1]) if len(value) == 2 else (value[0], value[0])


def placed(
    input: Tensor, weight: Tensor, stride: Size, padding: Size | str, dilation: Size, groups: int
) -> tuple[Tensor, Geometry]:
    """Return the input and how a convolution moves over it.

    The input is padded here where ``padding="same"`` differs between two sides.
    """
    dilations = pair(dilation)
    if isinstance(padding, str):
        total = [d * (k - 1) for d, k in zip(dilations, weight.shape[-2:], strict=True)]
        if padding == "valid":
            paddings = (0, 0)
        elif any(t % 2 for t in total):  # the library puts the odd row at the end
            top, left = (t // 2 for t in total)
            input = F.pad(input, (left, total[1] - left, top, total[0] - top))
            paddings = (0, 0)
        else:
            paddings = (total[0] // 2, total[1] // 2)
    else:
        paddings = pair(padding)
    return input, Geometry(pair(stride), paddings, dilations, groups)


def arguments(module: nn.Conv1d | nn.Conv2d) -> dict[str, Any] | None:
    """Return what ``module`` passes to its function; None where it pads its input before."""
    if module.padding_mode != "zeros":
        return None
    return {
        "weight": module.weight,
        "bias": module.bias,
        "stride": module.stride,
        "padding": module.padding,
        "dilation": module.dilation,
        "groups": module.groups,
    }


def per_sample(
    recorder: Recorder,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Return ``F.conv2d`` of ``input`` (m, C, H, W)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight, weight=True), recorder.used(bias)
    return convolved(recorder, uses, input, weight, bias, stride, padding, dilation, groups)


def convolved(
    recorder: Recorder,
    uses: Uses,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size | str,
    dilation: Size,
    groups: int,
) -> Tensor:
    """Return the same, with the uses of weight and bias noted before."""
    input, geometry = placed(input, weight, stride, padding, dilation, groups)
    y: Tensor = _Convolution.apply(input, weight, bias, geometry, uses, recorder)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        uses: Uses,
        recorder: Recorder,
    ) -> Tensor:
        if recorder.low:
            x, weight = x.bfloat16(), weight.bfloat16()
            bias = None if bias is None else bias.bfloat16()
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.uses, ctx.recorder = geometry, uses, recorder
        g = geometry
        return F.conv2d(x, weight, bias, g.stride, g.padding, g.dilation, g.groups)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, weight = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        of_weight, of_bias = ctx.uses
        if of_weight is not None:
            gradient = sample_gradient(x, error, weight, ctx.geometry, recorder.low)
            recorder.add(of_weight, gradient)
        if of_bias is not None:
            recorder.add(of_bias, DenseGradient(error.sum((2, 3))))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = input_gradient(x, error, weight, ctx.geometry)
        return grad_x, None, None, None, None, None


def stacked(
    stack: Stack,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Return the outputs of k candidates with weights (k, O, C / groups, kh, kw), biases (k, O).

    A convolution of k candidates is one of k times the groups, candidates side by side.
    """
    input, g = placed(input, weight[0], stride, padding, dilation, groups)
    y = F.conv2d(
        side_by_side(input, stack.candidates),
        weight.flatten(0, 1),
        None if bias is None else bias.flatten(),
        g.stride,
        g.padding,
        g.dilation,
        stack.candidates * g.groups,
    )
    return one_after_another(y, stack.candidates)


def initial_weights(module: nn.modules.conv._ConvNd, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of weight and bias, with the fans that torch takes."""
    fan_in = module.weight[0].numel()
    # Torch counts all filters, whatever the groups: what fan_out means to the papers.
    return weight_and_bias(fan_in, module.weight.numel() // module.weight.shape[1], scheme)


def macs(output: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """Return one multiplication per output element and weight of its filter."""
    return output.numel() * weight[0].numel()


def saved(
    output: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> int:
    """Return the elements of the input, which the weight's gradient needs, as it was padded."""
    if padding != "same":
        return input.numel()
    steps = [dilation] * (input.dim() - 2) if isinstance(dilation, int) else dilation
    reach = [d * (k - 1) for d, k in zip(steps, weight.shape[2:], strict=True)]
    sizes = [size + r % 2 for size, r in zip(input.shape[2:], reach, strict=True)]
    return math.prod(input.shape[:2]) * math.prod(sizes)


LAYERS.add(
    LayerRule(
        name="conv2d",
        kinds=(nn.Conv2d,),
        functions=(F.conv2d,),
        arguments=arguments,
        weight="weight",
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
        macs=macs,
        saved=saved,
    )
)
