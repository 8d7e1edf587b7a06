"""Layer normalization, by mean and variance or by the root of the mean square (RMS)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.changeable import changeable
from nas_search.layers.initial_weights import Distribution, Scheme, scale_and_shift
from nas_search.layers.recorder import Recorder, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient
from nas_search.layers.scale_and_shift import Uses, detached, scaled, scaled_by_candidate

Shape = list[int] | tuple[int, ...]


def per_sample(
    recorder: Recorder,
    input: Tensor,
    normalized_shape: Shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return ``F.layer_norm`` of ``input`` (m, ..., *normalized_shape)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight), recorder.used(bias)
    x = recorder.full(input)
    y: Tensor = _LayerNorm.apply(x, tuple(normalized_shape), weight, bias, eps, uses, recorder)
    return y


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        shape: tuple[int, ...],
        scale: Tensor | None,
        shift: Tensor | None,
        eps: float,
        uses: Uses,
        recorder: Recorder,
    ) -> Tensor:
        y, mean, rstd = torch.native_layer_norm(x, shape, scale, shift, eps)
        ctx.save_for_backward(x, scale, shift, mean, rstd)
        ctx.normalized, ctx.uses, ctx.recorder = shape, uses, recorder
        return changeable(y)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, scale, shift, mean, rstd = ctx.saved_tensors
        of_scale, of_shift = ctx.uses
        positions = list(range(1, x.dim() - len(ctx.normalized)))

        def rows(products: Tensor) -> DenseGradient:
            summed = products.sum(positions) if positions else products
            return DenseGradient(summed.reshape(len(products), -1))

        if of_scale is not None:
            ctx.recorder.add(of_scale, rows((x - mean).mul_(rstd).mul_(error)))
        if of_shift is not None:
            ctx.recorder.add(of_shift, rows(error))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x, _, _ = torch.ops.aten.native_layer_norm_backward(
                error, x, ctx.normalized, mean, rstd, scale, shift, (True, False, False)
            )
        return grad_x, *(None,) * 6


def per_sample_rms(
    recorder: Recorder,
    input: Tensor,
    normalized_shape: Shape,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return ``F.rms_norm`` of ``input`` (m, ..., *normalized_shape)."""
    recorder.rows_per_sample(input)
    x = recorder.full(input)
    use = recorder.used(weight)
    if use is None:
        return F.rms_norm(x, normalized_shape, detached(weight), eps)
    return scaled(recorder, F.rms_norm(x, normalized_shape, eps=eps), weight, None, (use, None))


def stacked(
    stack: Stack,
    input: Tensor,
    normalized_shape: Shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return the same with scales and shifts (k, *normalized_shape) of k candidates."""
    return scaled_by_candidate(stack, F.layer_norm(input, normalized_shape, eps=eps), weight, bias)


def stacked_rms(
    stack: Stack,
    input: Tensor,
    normalized_shape: Shape,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return the same with scales (k, *normalized_shape) of k candidates."""
    return scaled_by_candidate(stack, F.rms_norm(input, normalized_shape, eps=eps), weight, None)


def initial_weights(module: nn.LayerNorm | nn.RMSNorm, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of scale and shift."""
    return scale_and_shift()


def saved(output: Tensor, input: Tensor, normalized_shape: Shape, *_: Any, **__: Any) -> int:
    """Return the elements of the input and of both its statistics."""
    return input.numel() + 2 * (input.numel() // math.prod(normalized_shape))


def saved_rms(
    output: Tensor,
    input: Tensor,
    normalized_shape: Shape,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> int:
    """Return the elements of the input, of its statistic and of what the scale multiplies."""
    maps = 1 if weight is None else 2
    return maps * input.numel() + input.numel() // math.prod(normalized_shape)


LAYERS.add(
    LayerRule(
        name="layer_norm",
        kinds=(nn.LayerNorm,),
        functions=(F.layer_norm,),
        positionwise=True,
        arguments=lambda module: {
            "normalized_shape": module.normalized_shape,
            "weight": module.weight,
            "bias": module.bias,
            "eps": module.eps,
        },
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
        saved=saved,
    )
)
LAYERS.add(
    LayerRule(
        name="rms_norm",
        kinds=(nn.RMSNorm,),
        functions=(F.rms_norm,),
        positionwise=True,
        arguments=lambda module: {
            "normalized_shape": module.normalized_shape,
            "weight": module.weight,
            "eps": module.eps,
        },
        per_sample=per_sample_rms,
        stacked=stacked_rms,
        initial_weights=initial_weights,
        saved=saved_rms,
    )
)
