"""Batch-norm, one way for each meaning of its statistics (see :mod:`.modes`)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.layers.changeable import changeable
from nas_search.layers.initial_weights import Distribution, Scheme, scale_and_shift
from nas_search.layers.modes import Normalization
from nas_search.layers.recorder import Recorder, Recording, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient
from nas_search.stacked.candidates import one_after_another, side_by_side

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def arguments(module: BatchNorm) -> dict[str, Any]:
    """Return what ``module`` passes to ``F.batch_norm`` beside its input."""
    return {
        "running_mean": module.running_mean,
        "running_var": module.running_var,
        "weight": module.weight,
        "bias": module.bias,
        "eps": module.eps,
    }


def per_sample(
    recorder: Recorder,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return ``input`` (m, C, ...) normalized with the statistics of the recorder's mode.

    Running statistics are read in ``eval`` mode and never written, whatever ``training`` says. In a
    stacked network each candidate has its own batch.

    Raises:
        InputError: ``sample`` mode on a map of one element, which has no statistics of its own, or
            ``eval`` mode on a layer without running statistics.
    """
    rows = recorder.rows_per_sample(input) if recorder.normalization == "sample" else 1
    running = running_mean, running_var
    y = _normalized(recorder, _gathered(input, rows), running, weight, bias, eps)
    return _scattered(y, rows)


def _gathered(x: Tensor, rows: int) -> Tensor:
    """Return (n, C, rows, ...) of (n rows, C, ...): the rows of a sample side by side."""
    return x if rows == 1 else x.unflatten(0, (-1, rows)).transpose(1, 2)


def _scattered(y: Tensor, rows: int) -> Tensor:
    """Undo :func:`_gathered`."""
    return y if rows == 1 else y.transpose(1, 2).flatten(0, 1)


def _normalized(
    recorder: Recorder,
    x: Tensor,
    running: tuple[Tensor | None, Tensor | None],
    scale: Tensor | None,
    shift: Tensor | None,
    eps: float,
) -> Tensor:
    mode, candidates = recorder.normalization, recorder.candidates
    uses = recorder.used(scale), recorder.used(shift)
    if mode == "sample":
        _check_spread(recorder.layer, x)
        y: Tensor = _OwnStatistics.apply(x, scale, shift, eps, uses, recorder)
        return y
    if mode == "batch":
        x = _in_train_mode(x, eps, candidates)
        if scale is None:
            return x
        zeros, ones = x.new_zeros(1, x.shape[1]), x.new_ones(1, x.shape[1])
        y = _FixedStatistics.apply(x, zeros, ones, scale, shift, uses, recorder)
        return y
    mean, variance = _statistics(recorder.layer, running, x, mode, candidates)
    rstd = torch.rsqrt(variance + eps)
    y = _FixedStatistics.apply(x, mean, rstd, scale, shift, uses, recorder)
    return y


def stacked(
    stack: Stack,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return the same in ordinary operations, with scales and shifts (k, C) of k candidates.

    For gradients of any order with respect to anything, as sums over the batch.
    """
    x, candidates, mode = input, stack.candidates, stack.normalization
    if mode is None:
        return x
    if mode == "sample":
        rows = stack.rows_per_sample(x)
        x = _gathered(x, rows)
        _check_spread(stack.layer, x)
        folded = x.reshape(1, -1, *x.shape[2:])
        scales, shifts = (_times(values, len(x) // candidates) for values in (weight, bias))
        y = _library(folded, None, scales, shifts, eps)
        return _scattered(y.view(x.shape), rows)
    scales, shifts = (_times(values, 1) for values in (weight, bias))
    together = side_by_side(x, candidates)
    if mode == "batch":
        y = _library(together, None, scales, shifts, eps)
    else:
        running = running_mean, running_var
        mean, variance = (
            values.expand(candidates, -1).flatten()
            for values in _statistics(stack.layer, running, x, mode, candidates)
        )
        y = _library(together, (mean, variance), scales, shifts, eps)
    return one_after_another(y, candidates)


def _library(
    x: Tensor,
    statistics: tuple[Tensor, Tensor] | None,
    scale: Tensor | None,
    shift: Tensor | None,
    eps: float,
) -> Tensor:
    """Return the library's batch-norm with ``statistics``, or with those of ``x`` itself.

    Its CPU code misreads an input or a gradient of shape (1, C, H, W) that is transposed, as they
    are beside tokens (torch 2.14; it is right for two or more rows): both are made contiguous.
    """
    mean, variance = statistics or (None, None)
    if len(x) > 1:
        return F.batch_norm(x, mean, variance, scale, shift, statistics is None, eps=eps)
    y = F.batch_norm(x.contiguous(), mean, variance, scale, shift, statistics is None, eps=eps)
    if y.requires_grad:
        y.register_hook(Tensor.contiguous)
    return y


def _times(values: Tensor | None, samples: int) -> Tensor | None:
    """Return each candidate's values (k, C) for every one of its samples, one after another."""
    if values is None:
        return None
    return values[:, None].expand(-1, samples, -1).flatten()


def _check_spread(layer: str, x: Tensor) -> None:
    if x[0, 0].numel() < 2:
        raise InputError(
            f"batch-norm '{layer}' sees a map of one element, which has no per-sample "
            "statistics; use larger images (dataset.size) or proxy.normalization=frozen"
        )


def _statistics(
    layer: str,
    running: tuple[Tensor | None, Tensor | None],
    x: Tensor,
    mode: Normalization,
    candidates: int,
) -> tuple[Tensor, Tensor]:
    """Return the constant (mean, variance) of ``frozen``, (k, C), and of ``eval``, (1, C)."""
    if mode == "frozen":
        return _of_the_batch(x.detach(), candidates)
    mean, variance = running
    if mean is None or variance is None:
        raise InputError(
            f"batch-norm '{layer}' keeps no running statistics; use another proxy.normalization"
        )
    return mean[None], variance[None]


def _of_the_batch(x: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    """Return the (mean, variance) of each candidate's samples, (k, C)."""
    if x.dtype == torch.bfloat16:
        x = x.float()
    if x.device.type == "cpu":  # four times faster there than var_mean, with the same accuracy
        mean, variance = torch.ops.aten.batch_norm_update_stats(
            side_by_side(x, candidates), None, None, 0.0
        )
        return mean.view(candidates, -1), variance.view(candidates, -1)
    grouped = x.unflatten(0, (candidates, -1))
    variance, mean = torch.var_mean(grouped, (1, *range(3, grouped.dim())), correction=0)
    return mean, variance


def _in_train_mode(x: Tensor, eps: float, candidates: int) -> Tensor:
    """Normalize each candidate's samples (n, C, ...) by their own batch, in ordinary operations."""
    y = _library(side_by_side(x, candidates), None, None, None, eps)
    return one_after_another(y, candidates)


class _OwnStatistics(torch.autograd.Function):
    """Each sample normalized by itself: batch-norm on the view (1, n C, ...) of the batch."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        eps: float,
        uses: tuple[Recording | None, Recording | None],
        recorder: Recorder,
    ) -> Tensor:
        n, channels = x.shape[:2]
        folded = x.reshape(1, n * channels, *x.shape[2:]).contiguous()  # see _library
        scales = scale.repeat(n) if scale is not None else None
        shifts = shift.repeat(n) if shift is not None else None
        y, mean, rstd = torch.native_batch_norm(folded, scales, shifts, None, None, True, 0.0, eps)
        ctx.save_for_backward(folded, scales, mean, rstd)
        ctx.eps, ctx.uses, ctx.recorder, ctx.shape = eps, uses, recorder, x.shape
        return changeable(y.view(x.shape))

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        folded, scales, mean, rstd = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        of_scale, of_shift = ctx.uses
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
            error.reshape(folded.shape).contiguous(),  # see _library
            folded,
            scales,
            None,
            None,
            mean,
            rstd,
            True,
            ctx.eps,
            (ctx.needs_input_grad[0], of_scale is not None, of_shift is not None),
        )
        n = ctx.shape[0]
        if of_scale is not None:
            recorder.add(of_scale, DenseGradient(grad_scale.view(n, -1)))
        if of_shift is not None:
            recorder.add(of_shift, DenseGradient(grad_shift.view(n, -1)))
        return grad_x.view(ctx.shape) if ctx.needs_input_grad[0] else None, *(None,) * 5


class _FixedStatistics(torch.autograd.Function):
    """Normalization by constants: y = scale (x - mean) rstd + shift.

    The constants are (k, C), one row for the n samples of each candidate, or (1, C) for all.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mean: Tensor,
        rstd: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        uses: tuple[Recording | None, Recording | None],
        recorder: Recorder,
    ) -> Tensor:
        rows, channels = mean.shape
        shape = (rows, 1, channels) + (1,) * (x.dim() - 2)
        factor = rstd if scale is None else rstd * scale
        offset = -mean * factor if shift is None else shift - mean * factor
        kept = None if uses[0] is None else x  # what nobody needs may be changed in place
        ctx.save_for_backward(kept, mean.view(shape), rstd.view(shape), factor.view(shape))
        ctx.uses, ctx.recorder = uses, recorder
        grouped = x.unflatten(0, (rows, -1))
        y = torch.addcmul(offset.view(shape), grouped, factor.view(shape))
        return changeable(y.flatten(0, 1).to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, rstd, factor = ctx.saved_tensors
        error = errors[0].unflatten(0, (len(mean), -1))
        of_scale, of_shift = ctx.uses
        if of_scale is not None:
            grouped = x.unflatten(0, (len(mean), -1))
            by_scale = (error * (grouped - mean) * rstd).reshape(*x.shape[:2], -1).sum(-1)
            ctx.recorder.add(of_scale, DenseGradient(by_scale))
        if of_shift is not None:
            by_shift = errors[0].reshape(*errors[0].shape[:2], -1).sum(-1)
            ctx.recorder.add(of_shift, DenseGradient(by_shift))
        grad_x = (error * factor).flatten(0, 1) if ctx.needs_input_grad[0] else None
        return grad_x, *(None,) * 6


def initial_weights(module: BatchNorm, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of scale and shift."""
    return scale_and_shift() if module.affine else {}


def saved(output: Tensor, input: Tensor, *_: Any, **__: Any) -> int:
    """Return the elements of the input, which the scale's gradient needs."""
    return input.numel()


LAYERS.add(
    LayerRule(
        name="batch_norm",
        kinds=(nn.BatchNorm1d, nn.BatchNorm2d),
        functions=(F.batch_norm,),
        arguments=arguments,
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
        saved=saved,
    )
)
