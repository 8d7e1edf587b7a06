"""Group normalization, and instance normalization: one group per channel.

With the batch (n, C, ...) seen as one sample of n C channels in n times the groups, the library's
gradients of scale and shift are those of each sample.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.changeable import changeable
from nas_search.layers.initial_weights import Distribution, Scheme, scale_and_shift
from nas_search.layers.recorder import Recorder, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient
from nas_search.layers.scale_and_shift import Uses, scaled, scaled_by_candidate

InstanceNorm = nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d


def per_sample(
    recorder: Recorder,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return ``F.group_norm`` of ``input`` (m, C, ...)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight), recorder.used(bias)
    x = recorder.full(input)
    y: Tensor = _Grouped.apply(x, weight, bias, num_groups, eps, uses, recorder)
    return y


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        groups: int,
        eps: float,
        uses: Uses,
        recorder: Recorder,
    ) -> Tensor:
        n, channels = x.shape[:2]
        folded = x.reshape(1, n * channels, -1).contiguous()
        scales, shifts = (None if v is None else v.repeat(n) for v in (scale, shift))
        size = n * channels, folded.shape[2], n * groups
        y, mean, rstd = torch.native_group_norm(folded, scales, shifts, 1, *size, eps)
        ctx.save_for_backward(folded, scales, mean, rstd)
        ctx.size, ctx.uses, ctx.recorder, ctx.shape = size, uses, recorder, x.shape
        return changeable(y.view(x.shape))

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        folded, scales, mean, rstd = ctx.saved_tensors
        of_scale, of_shift = ctx.uses
        wanted = ctx.needs_input_grad[0], of_scale is not None, of_shift is not None
        error = errors[0].reshape(folded.shape).contiguous()
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_group_norm_backward(
            error, folded, mean, rstd, scales, 1, *ctx.size, wanted
        )
        n = ctx.shape[0]
        if of_scale is not None:
            ctx.recorder.add(of_scale, DenseGradient(grad_scale.view(n, -1)))
        if of_shift is not None:
            ctx.recorder.add(of_shift, DenseGradient(grad_shift.view(n, -1)))
        return grad_x.view(ctx.shape) if wanted[0] else None, *(None,) * 6


def stacked(
    stack: Stack,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return the same with scales and shifts (k, C) of k candidates."""
    y = F.group_norm(input, num_groups, eps=eps)
    return scaled_by_candidate(stack, y, _per_channel(weight, y), _per_channel(bias, y))


def arguments_of_instances(module: InstanceNorm) -> dict[str, Any]:
    """Return what ``module`` passes to ``F.instance_norm`` in evaluation, beside its input."""
    return {
        "running_mean": module.running_mean,
        "running_var": module.running_var,
        "weight": module.weight,
        "bias": module.bias,
        "use_input_stats": not module.track_running_stats,
        "eps": module.eps,
    }


def per_sample_of_instances(
    recorder: Recorder,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return ``F.instance_norm`` of ``input`` (m, C, ...); running statistics are not written."""
    if use_input_stats:
        return per_sample(recorder, input, input.shape[1], weight, bias, eps)
    recorder.rows_per_sample(input)
    uses = recorder.used(weight), recorder.used(bias)
    y = F.batch_norm(recorder.full(input), running_mean, running_var, training=False, eps=eps)
    return scaled(recorder, y, _per_channel(weight, y), _per_channel(bias, y), uses)


def stacked_of_instances(
    stack: Stack,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return the same with scales and shifts (k, C) of k candidates."""
    if use_input_stats:
        y = F.instance_norm(input, eps=eps)
    else:
        y = F.batch_norm(input, running_mean, running_var, training=False, eps=eps)
    return scaled_by_candidate(stack, y, _per_channel(weight, y), _per_channel(bias, y))


def _per_channel(values: Tensor | None, x: Tensor) -> Tensor | None:
    """Return values (..., C) with the dimensions that follow the channels of ``x`` (m, C, ...)."""
    return None if values is None else values.view(*values.shape, *(1,) * (x.dim() - 2))


def initial_weights(module: nn.GroupNorm | InstanceNorm, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of scale and shift."""
    return scale_and_shift()


def saved(output: Tensor, input: Tensor, num_groups: int, *_: Any, **__: Any) -> int:
    """Return the elements of the input and of both statistics of each group."""
    return input.numel() + 2 * len(input) * num_groups


def saved_of_instances(
    output: Tensor,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    *_: Any,
    **__: Any,
) -> int:
    """Return the elements of the input, of both its channels' statistics and of their scales."""
    per_map = 2 if weight is None else 3
    return input.numel() + per_map * len(input) * input.shape[1]


LAYERS.add(
    LayerRule(
        name="group_norm",
        kinds=(nn.GroupNorm,),
        functions=(F.group_norm,),
        arguments=lambda module: {
            "num_groups": module.num_groups,
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
        name="instance_norm",
        kinds=(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
        functions=(F.instance_norm,),
        arguments=arguments_of_instances,
        per_sample=per_sample_of_instances,
        stacked=stacked_of_instances,
        initial_weights=initial_weights,
        saved=saved_of_instances,
    )
)
