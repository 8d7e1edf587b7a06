"""One-dimensional convolutions: images of one row."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.convolution import (
    Size,
    arguments,
    convolved,
    initial_weights,
    macs,
    saved,
)
from nas_search.layers.convolution_gradient import Pair
from nas_search.layers.recorder import Recorder, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.stacked.candidates import one_after_another, side_by_side


def in_a_row(value: Size, height: int) -> Pair:
    """Return a one-dimensional size as (vertical, horizontal)."""
    return height, value if isinstance(value, int) else value[0]


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
    """Return ``F.conv1d`` of ``input`` (m, C, L)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight, weight=True), recorder.used(bias)
    return convolved(
        recorder,
        uses,
        input.unsqueeze(2),
        weight.unsqueeze(2),
        bias,
        in_a_row(stride, 1),
        padding if isinstance(padding, str) else in_a_row(padding, 0),
        in_a_row(dilation, 1),
        groups,
    ).squeeze(2)


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
    """Return the outputs of k candidates with weights (k, O, C / groups, l), biases (k, O)."""
    y = F.conv1d(
        side_by_side(input, stack.candidates),
        weight.flatten(0, 1),
        None if bias is None else bias.flatten(),
        stride,
        padding,
        dilation,
        stack.candidates * groups,
    )
    return one_after_another(y, stack.candidates)


LAYERS.add(
    LayerRule(
        name="conv1d",
        kinds=(nn.Conv1d,),
        functions=(F.conv1d,),
        arguments=arguments,
        weight="weight",
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
        macs=macs,
        saved=saved,
    )
)
