"""Layer normalization, by mean and variance or by the root of the mean square (RMS)."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.initial_weights import Distribution, Scheme, scale_and_shift
from nas_search.layers.recorder import Recorder, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.scale_and_shift import detached, scaled, scaled_by_candidate

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
    x = recorder.full(input)
    uses = recorder.used(weight), recorder.used(bias)
    if uses == (None, None):
        return F.layer_norm(x, normalized_shape, detached(weight), detached(bias), eps)
    return scaled(recorder, F.layer_norm(x, normalized_shape, eps=eps), weight, bias, uses)


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


def reachable(input: Tensor, normalized_shape: Shape, *_: Any, **__: Any) -> Tensor:
    """Return the mean over what shares its statistics, for each element of it."""
    own = list(range(-len(normalized_shape), 0))
    return input.mean(own, keepdim=True).expand_as(input)


LAYERS.add(
    LayerRule(
        name="layer_norm",
        kinds=(nn.LayerNorm,),
        functions=(F.layer_norm,),
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
        reachable=reachable,
    )
)
LAYERS.add(
    LayerRule(
        name="rms_norm",
        kinds=(nn.RMSNorm,),
        functions=(F.rms_norm,),
        arguments=lambda module: {
            "normalized_shape": module.normalized_shape,
            "weight": module.weight,
            "eps": module.eps,
        },
        per_sample=per_sample_rms,
        stacked=stacked_rms,
        initial_weights=initial_weights,
        saved=saved_rms,
        reachable=reachable,
    )
)
