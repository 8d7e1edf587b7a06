"""A layer of your own: a gate per channel, its record in the book, and the tests that it inherits.

python -m pytest examples/own_layer.py
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nas_search.layers.initial_weights import Constant, Distribution, Scheme
from nas_search.layers.recorder import Recorder, Recording, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import DenseGradient
from nas_search.testing.layers import LayerCase, LayerConformance


class ChannelGate(nn.Module):
    """Multiplies each channel of (n, C, H, W) with the sigmoid of a learned number."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.gate, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate)[:, None, None]


def per_sample(recorder: Recorder, input: Tensor, gate: Tensor) -> Tensor:
    """Compute the same, and tell the recorder each sample's gradient during backward."""
    recorder.rows_per_sample(input)
    output: Tensor = _Gate.apply(input, gate, recorder.used(gate), recorder)
    return output


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gate: Tensor, use: Recording | None, recorder: Recorder
    ) -> Tensor:
        opening = torch.sigmoid(gate)[:, None, None]
        ctx.save_for_backward(x, opening)
        ctx.use, ctx.recorder = use, recorder
        return x * opening

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, opening = ctx.saved_tensors
        if ctx.use is not None:  # None: only weights are asked for
            rows = (error * x * opening * (1 - opening)).sum((2, 3))
            ctx.recorder.add(ctx.use, DenseGradient(rows))
        return error * opening, None, None, None


def stacked(stack: Stack, input: Tensor, gate: Tensor) -> Tensor:
    """Compute the same for k candidates with gates (k, C), in ordinary operations."""
    opening = torch.sigmoid(gate)[:, None, :, None, None]
    output: Tensor = input.unflatten(0, (stack.candidates, -1)) * opening
    return output.flatten(0, 1)


def initial_weights(module: ChannelGate, scheme: Scheme) -> dict[str, Distribution]:
    return {"gate": Constant(2.0)}


LAYERS.add(
    LayerRule(
        name="channel_gate",
        kinds=(ChannelGate,),
        arguments=lambda module: {"gate": module.gate},
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
    )
)


class TestChannelGate(LayerConformance):
    rule = "channel_gate"

    def cases(self) -> list[LayerCase]:
        return [LayerCase(ChannelGate(3), (3, 4, 5))]
