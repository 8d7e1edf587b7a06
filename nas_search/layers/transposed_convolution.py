"""Transposed convolutions in one and two dimensions: any stride, padding, dilation and groups.

A transposed convolution is the input gradient of a convolution with the same weight. So its weight
gradient is that convolution's, with input and error exchanged, and its input gradient is that
convolution of the error.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.convolution import Size, Uses, initial_weights, pair
from nas_search.layers.convolution_1d import in_a_row
from nas_search.layers.convolution_gradient import Geometry, Pair, weight_gradient
from nas_search.layers.recorder import Recorder, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient, Factors
from nas_search.stacked.candidates import one_after_another, side_by_side


def arguments(module: nn.ConvTranspose1d | nn.ConvTranspose2d) -> dict[str, Any]:
    """Return what ``module`` passes to its function beside its input."""
    return {
        "weight": module.weight,
        "bias": module.bias,
        "stride": module.stride,
        "padding": module.padding,
        "output_padding": module.output_padding,
        "groups": module.groups,
        "dilation": module.dilation,
    }


def per_sample(
    recorder: Recorder,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Return ``F.conv_transpose2d`` of ``input`` (m, C, H, W)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight, weight=True), recorder.used(bias)
    geometry = Geometry(pair(stride), pair(padding), pair(dilation), groups)
    extra = pair(output_padding)
    y: Tensor = _Transposed.apply(input, weight, bias, geometry, extra, uses, recorder)
    return y


def per_sample_1d(
    recorder: Recorder,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Return ``F.conv_transpose1d`` of ``input`` (m, C, L)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight, weight=True), recorder.used(bias)
    geometry = Geometry(in_a_row(stride, 1), in_a_row(padding, 0), in_a_row(dilation, 1), groups)
    extra = in_a_row(output_padding, 0)
    x, weight = input.unsqueeze(2), weight.unsqueeze(2)
    y: Tensor = _Transposed.apply(x, weight, bias, geometry, extra, uses, recorder).squeeze(2)
    return y


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        extra: Pair,
        uses: Uses,
        recorder: Recorder,
    ) -> Tensor:
        if recorder.low:
            x, weight = x.bfloat16(), weight.bfloat16()
            bias = None if bias is None else bias.bfloat16()
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.extra, ctx.uses, ctx.recorder = geometry, extra, uses, recorder
        g = geometry
        return F.conv_transpose2d(x, weight, bias, g.stride, g.padding, extra, g.groups, g.dilation)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, weight = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        of_weight, of_bias = ctx.uses
        g: Geometry = ctx.geometry
        if of_weight is not None:
            # Where the output is padded by a stride or more, the convolution of the error has
            # places beyond those of x, in which nothing entered.
            below, right = (e // s for e, s in zip(ctx.extra, g.stride, strict=True))
            entered = F.pad(x, (0, right, 0, below)) if below or right else x
            rows = weight_gradient(error, entered, weight, g)
            rows = rows.float() if recorder.low else rows
            recorder.add(of_weight, DenseGradient(rows, Factors(x, error)))
        if of_bias is not None:
            recorder.add(of_bias, DenseGradient(error.sum((2, 3))))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = F.conv2d(error, weight, None, g.stride, g.padding, g.dilation, g.groups)
            grad_x = grad_x[:, :, : x.shape[2], : x.shape[3]]
        return grad_x, None, None, None, None, None, None


def stacked(
    stack: Stack,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Return the outputs of k candidates with weights (k, C, O / groups, ...), biases (k, O)."""
    transpose = F.conv_transpose1d if input.dim() == 3 else F.conv_transpose2d
    y = transpose(
        side_by_side(input, stack.candidates),
        weight.flatten(0, 1),
        None if bias is None else bias.flatten(),
        stride,
        padding,
        output_padding,
        stack.candidates * groups,
        dilation,
    )
    return one_after_another(y, stack.candidates)


def macs(output: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """Return one multiplication per input element and weight that it is multiplied with."""
    return input.numel() * weight[0].numel()


def saved(output: Tensor, input: Tensor, *_: Any, **__: Any) -> int:
    """Return the elements of the input, which the weight's gradient needs."""
    return input.numel()


_rule = partial(
    LayerRule,
    arguments=arguments,
    weight="weight",
    stacked=stacked,
    initial_weights=initial_weights,
    macs=macs,
    saved=saved,
)

LAYERS.add(
    _rule(
        name="conv_transpose1d",
        kinds=(nn.ConvTranspose1d,),
        functions=(F.conv_transpose1d,),
        per_sample=per_sample_1d,
    )
)
LAYERS.add(
    _rule(
        name="conv_transpose2d",
        kinds=(nn.ConvTranspose2d,),
        functions=(F.conv_transpose2d,),
        per_sample=per_sample,
    )
)
