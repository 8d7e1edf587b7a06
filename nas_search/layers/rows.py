"""A row per sample for a parameter that stands alone: the gradient of a row is the sample's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nas_search.layers.recorder import Recorder, Recording
from nas_search.layers.sample_gradient import DenseGradient


def with_rows(
    recorder: Recorder,
    value: Tensor,
    rank: int,
    lead: int,
    *,
    axis: int = 0,
    weight: bool = False,
) -> Tensor | None:
    """Return ``value`` with rows of its own for each sample.

    Args:
        recorder: takes the gradients of the parameters that ``value`` is or is made of.
        value: broadcasts against tensors of ``rank`` dimensions.
        rank: number of dimensions of the result.
        lead: size of the dimension of the samples, a multiple of their number.
        axis: the dimension of the samples.
        weight: whether inputs are multiplied with ``value``.

    Returns:
        A tensor of the same values that broadcasts like ``value``; None where ``value`` cannot be
        told apart by sample.
    """
    if not value.requires_grad:
        return value
    ahead = rank - value.dim()
    size = value.shape[axis - ahead] if axis >= ahead else 1
    if ahead < 0 or size not in (1, lead):
        return None
    whole = value
    if size == lead and lead > 1 and value.stride(axis - ahead) == 0:  # expanded: all rows are one
        value, size = value.narrow(axis - ahead, 0, 1), 1
    recording = recorder.used(value, weight=weight)
    if recording is None:
        return whole.detach()
    if size == lead > 1:
        beside: Tensor = _Beside.apply(value, axis - ahead, recording, recorder)
        return beside
    padded = value.reshape(*(1,) * ahead, *value.shape)
    rows: Tensor = _Rows.apply(padded, lead, axis, recording, recorder)
    return rows


class _Rows(torch.autograd.Function):
    """From one row along an axis to the same row for every row of the samples."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, lead: int, axis: int, recording: Recording, recorder: Recorder
    ) -> Tensor:
        ctx.recording, ctx.recorder, ctx.axis = recording, recorder, axis
        shape = list(value.shape)
        shape[axis] = lead
        return value.expand(shape)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[None, ...]:
        rows = errors[0].movedim(ctx.axis, 0).flatten(1)
        ctx.recorder.add(ctx.recording, DenseGradient(rows))
        return (None,) * 5


class _Beside(torch.autograd.Function):
    """The identity of a tensor that has its rows already, e.g. an expanded class token."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, axis: int, recording: Recording, recorder: Recorder
    ) -> Tensor:
        ctx.recording, ctx.recorder, ctx.axis = recording, recorder, axis
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[None, ...]:
        ctx.recorder.add_own_rows(ctx.recording, errors[0], ctx.axis)
        return (None,) * 4
