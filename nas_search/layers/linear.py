"""Linear layers on any number of positions: gradients stay in the factored form b a^T."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.changeable import changeable
from nas_search.layers.initial_weights import Distribution, Scheme, weight_and_bias
from nas_search.layers.recorder import Recorder, Recording, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.sample_gradient import (
    DenseGradient,
    FactoredGradient,
    Factors,
    factors_are_cheaper,
)

Uses = tuple[Recording | None, Recording | None]


def per_sample(
    recorder: Recorder, input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Return ``F.linear`` of ``input`` (m, ..., in_features)."""
    recorder.rows_per_sample(input)
    uses = recorder.used(weight, weight=True), recorder.used(bias)
    y: Tensor = _Linear.apply(input, weight, bias, uses, recorder)
    return y


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        uses: Uses,
        recorder: Recorder,
    ) -> Tensor:
        if recorder.low:  # the classifier is small, and logits say which networks are dead
            x = x.to(weight.dtype)
        ctx.save_for_backward(None if uses[0] is None else x, weight)
        ctx.uses, ctx.recorder = uses, recorder
        return changeable(F.linear(x, weight, bias))

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, weight = ctx.saved_tensors
        of_weight, of_bias = ctx.uses
        if of_weight is not None:
            ctx.recorder.add(of_weight, sample_gradient(x, error))
        if of_bias is not None:
            rows = error.flatten(1, -2).sum(1) if error.dim() > 2 else error
            ctx.recorder.add(of_bias, DenseGradient(rows))
        grad_x = error @ weight if ctx.needs_input_grad[0] else None
        return grad_x, None, None, None, None


def sample_gradient(x: Tensor, error: Tensor) -> DenseGradient | FactoredGradient:
    """Return the per-sample gradients of a weight.

    Args:
        x: the layer's input, (m, ..., in).
        error: gradient of the loss with respect to the output, (m, ..., out).
    """
    # Positions of one sample share the weight: their outer products add up.
    inputs, errors = (t.reshape(len(t), -1, t.shape[-1]) for t in (x, error))
    found = FactoredGradient(inputs, errors, Factors(x, error))
    samples, positions, features = inputs.shape
    if factors_are_cheaper(samples, positions, features, errors.shape[2]):
        return found
    return DenseGradient(found.matrix(), found.factors)


def stacked(stack: Stack, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the outputs of k candidates with weights (k, out, in) and biases (k, out)."""
    rows = input.reshape(stack.candidates, -1, input.shape[-1])
    y = rows @ weight.mT if bias is None else torch.baddbmm(bias[:, None], rows, weight.mT)
    return y.reshape(*input.shape[:-1], -1)


def initial_weights(module: nn.Linear, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of weight and bias."""
    return weight_and_bias(module.in_features, module.out_features, scheme)


def macs(output: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> int:
    """Return one multiplication per output and input feature."""
    return output.numel() * weight.shape[1]


def saved(output: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> int:
    """Return the elements of the input, which the weight's gradient needs."""
    return input.numel()


RULE = LAYERS.add(
    LayerRule(
        name="linear",
        kinds=(nn.Linear,),
        functions=(F.linear,),
        arguments=lambda module: {"weight": module.weight, "bias": module.bias},
        weight="weight",
        positionwise=True,
        per_sample=per_sample,
        stacked=stacked,
        initial_weights=initial_weights,
        macs=macs,
        saved=saved,
    )
)
