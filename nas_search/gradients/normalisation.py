"""The layer rules of batch-norm, one for each meaning of its statistics (see :mod:`.modes`)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.gradients.gradient import DenseGradient
from nas_search.gradients.modes import Normalisation
from nas_search.gradients.recorder import Recorder

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def batch_norm(
    name: str, module: BatchNorm, recorder: Recorder, x: Tensor, mode: Normalisation
) -> Tensor:
    """Apply ``module`` to ``x`` (n, C, ...) with the statistics of ``mode``.

    Running statistics are read in ``eval`` mode and never written.

    Raises:
        InputError: ``sample`` mode on a map of one element, which has no statistics of its own, or
            ``eval`` mode on a layer without running statistics.
    """
    if module.affine and recorder.every_parameter:
        recorder.used(f"{name}.weight")
        recorder.used(f"{name}.bias")
    scale, shift = module.weight, module.bias
    if mode == "sample":
        _check_spread(name, x)
        return _OwnStatistics.apply(x, scale, shift, module.eps, name, recorder)
    if mode == "batch":
        x = F.batch_norm(x, None, None, training=True, eps=module.eps)
        if scale is None:
            return x
        zeros, ones = x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])
        return _FixedStatistics.apply(x, zeros, ones, scale, shift, name, recorder)
    mean, variance = _statistics(name, module, x, mode)
    rstd = torch.rsqrt(variance + module.eps)
    return _FixedStatistics.apply(x, mean, rstd, scale, shift, name, recorder)


def differentiable(name: str, module: BatchNorm, x: Tensor, mode: Normalisation) -> Tensor:
    """Apply ``module`` to ``x`` as :func:`batch_norm`, in ordinary operations.

    For gradients of any order with respect to anything, as sums over the batch.
    """
    scale, shift, eps = module.weight, module.bias, module.eps
    if mode == "batch":
        return F.batch_norm(x, None, None, scale, shift, training=True, eps=eps)
    if mode == "sample":
        _check_spread(name, x)
        n = len(x)
        scales = scale.repeat(n) if scale is not None else None
        shifts = shift.repeat(n) if shift is not None else None
        folded = x.reshape(1, -1, *x.shape[2:])
        y = F.batch_norm(folded, None, None, scales, shifts, training=True, eps=eps)
        return y.view(x.shape)
    mean, variance = _statistics(name, module, x, mode)
    return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=eps)


def _check_spread(name: str, x: Tensor) -> None:
    if x[0, 0].numel() < 2:
        raise InputError(
            f"batch-norm '{name}' sees a map of one element, which has no per-sample "
            "statistics; use larger images (dataset.size) or proxy.normalisation=frozen"
        )


def _statistics(
    name: str, module: BatchNorm, x: Tensor, mode: Normalisation
) -> tuple[Tensor, Tensor]:
    """Return the constant (mean, variance) of ``frozen`` and ``eval``."""
    if mode == "frozen":
        variance, mean = torch.var_mean(x.detach().transpose(0, 1).flatten(1), 1, correction=0)
        return mean, variance
    if module.running_mean is None or module.running_var is None:
        raise InputError(
            f"batch-norm '{name}' keeps no running statistics; use another proxy.normalisation"
        )
    return module.running_mean, module.running_var


class _OwnStatistics(torch.autograd.Function):
    """Each sample normalised by itself: batch-norm on the view (1, n C, ...) of the batch."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        eps: float,
        name: str,
        recorder: Recorder,
    ) -> Tensor:
        n, channels = x.shape[:2]
        folded = x.reshape(1, n * channels, *x.shape[2:])
        scales = scale.repeat(n) if scale is not None else None
        shifts = shift.repeat(n) if shift is not None else None
        y, mean, rstd = torch.native_batch_norm(folded, scales, shifts, None, None, True, 0.0, eps)
        ctx.save_for_backward(folded, scales, mean, rstd)
        ctx.eps, ctx.name, ctx.recorder, ctx.shape = eps, name, recorder, x.shape
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        folded, scales, mean, rstd = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        wanted = scales is not None and recorder.every_parameter
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
            error.reshape(folded.shape),
            folded,
            scales,
            None,
            None,
            mean,
            rstd,
            True,
            ctx.eps,
            (ctx.needs_input_grad[0], wanted, wanted),
        )
        if wanted:
            n = ctx.shape[0]
            recorder.add(f"{ctx.name}.weight", DenseGradient(grad_scale.view(n, -1)))
            recorder.add(f"{ctx.name}.bias", DenseGradient(grad_shift.view(n, -1)))
        return grad_x.view(ctx.shape) if ctx.needs_input_grad[0] else None, *(None,) * 5


class _FixedStatistics(torch.autograd.Function):
    """Normalisation by constants: y = scale (x - mean) rstd + shift."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mean: Tensor,
        rstd: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        name: str,
        recorder: Recorder,
    ) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        factor = rstd if scale is None else rstd * scale
        offset = -mean * factor if shift is None else shift - mean * factor
        ctx.save_for_backward(x, mean.view(shape), rstd.view(shape), factor.view(shape))
        ctx.name, ctx.recorder, ctx.has_affine = name, recorder, scale is not None
        return torch.addcmul(offset.view(shape), x, factor.view(shape))

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, mean, rstd, factor = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        if ctx.has_affine and recorder.every_parameter:
            n, channels = x.shape[:2]
            by_scale = (error * (x - mean) * rstd).reshape(n, channels, -1).sum(-1)
            recorder.add(f"{ctx.name}.weight", DenseGradient(by_scale))
            by_shift = error.reshape(n, channels, -1).sum(-1)
            recorder.add(f"{ctx.name}.bias", DenseGradient(by_shift))
        return error * factor if ctx.needs_input_grad[0] else None, *(None,) * 6
