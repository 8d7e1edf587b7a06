"""What layers of normalization do at the end: multiply by a scale and add a shift, both learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nas_search.layers.recorder import Recorder, Recording, Stack
from nas_search.layers.sample_gradient import DenseGradient

Uses = tuple[Recording | None, Recording | None]


def detached(value: Tensor | None) -> Tensor | None:
    """Return ``value`` as a constant."""
    return None if value is None else value.detach()


def scaled(
    recorder: Recorder, x: Tensor, scale: Tensor | None, shift: Tensor | None, uses: Uses
) -> Tensor:
    """Return ``scale * x + shift``, whose backward pass records the gradients of both.

    Args:
        recorder: takes the gradients.
        x: (m, ...).
        scale: of the shape of the last dimensions of ``x``, or 1 there; ``shift`` alike.
        uses: what the recorder said of scale and shift.
    """
    y: Tensor = _Scaled.apply(x, scale, shift, uses, recorder)
    return y


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        uses: Uses,
        recorder: Recorder,
    ) -> Tensor:
        ctx.save_for_backward(x if uses[0] is not None else None, scale)
        ctx.uses, ctx.recorder = uses, recorder
        ctx.shared = _shared(x, scale if scale is not None else shift)
        if scale is None:
            return x.clone() if shift is None else x + shift
        return x * scale if shift is None else torch.addcmul(shift, x, scale)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, scale = ctx.saved_tensors
        of_scale, of_shift = ctx.uses
        if of_scale is not None:
            ctx.recorder.add(of_scale, DenseGradient(_rows(error * x, ctx.shared)))
        if of_shift is not None:
            ctx.recorder.add(of_shift, DenseGradient(_rows(error, ctx.shared)))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = error if scale is None else error * scale
        return grad_x, None, None, None, None


def _shared(x: Tensor, scale: Tensor | None) -> list[int]:
    """Return the dimensions of ``x``, the first aside, that share one value of ``scale``."""
    if scale is None:
        return []
    shape = (1,) * (x.dim() - scale.dim()) + tuple(scale.shape)
    return [place for place in range(1, x.dim()) if shape[place] == 1]


def _rows(products: Tensor, shared: list[int]) -> Tensor:
    return (products.sum(shared) if shared else products).reshape(len(products), -1)


def scaled_by_candidate(
    stack: Stack, x: Tensor, scale: Tensor | None, shift: Tensor | None
) -> Tensor:
    """Return ``scale * x + shift`` with each candidate's own values, (k, ...) for k candidates."""
    y: Tensor = x.unflatten(0, (stack.candidates, -1))
    if scale is not None:
        y = y * _aligned(scale, y)
    if shift is not None:
        y = y + _aligned(shift, y)
    return y.flatten(0, 1)


def _aligned(values: Tensor, y: Tensor) -> Tensor:
    return values.reshape(len(values), *(1,) * (y.dim() - values.dim()), *values.shape[1:])
