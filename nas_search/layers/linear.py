"""The layer rule of linear layers: gradients stay in the factored form b a^T."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.recorder import ParameterUse, Recorder
from nas_search.layers.sample_gradient import DenseGradient, FactoredGradient, Factors


def linear(name: str, module: nn.Linear, recorder: Recorder, x: Tensor) -> Tensor:
    """Apply ``module`` to ``x`` (n, ..., in_features), record per-sample gradients in backward."""
    counts = module.bias is not None and recorder.every_parameter
    of_bias = recorder.used(f"{name}.bias") if counts else None
    uses = recorder.used(f"{name}.weight"), of_bias
    return _Linear.apply(x, module.weight, module.bias, uses, recorder)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        uses: tuple[ParameterUse, ParameterUse | None],
        recorder: Recorder,
    ) -> Tensor:
        if recorder.low:  # the classifier is small, and logits say which networks are dead
            x = x.to(weight.dtype)
        ctx.save_for_backward(x, weight)
        ctx.uses, ctx.recorder = uses, recorder
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, weight = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        of_weight, of_bias = ctx.uses
        if x.dim() == 2:
            recorder.add(of_weight, FactoredGradient(x, error))
        else:  # positions of one sample share the weight: their outer products add up
            rows = torch.bmm(error.flatten(1, -2).transpose(1, 2), x.flatten(1, -2))
            recorder.add(of_weight, DenseGradient(rows.flatten(1), Factors(x, error)))
        if of_bias is not None:
            rows = error.flatten(1, -2).sum(1) if error.dim() > 2 else error
            recorder.add(of_bias, DenseGradient(rows))
        grad_x = error @ weight if ctx.needs_input_grad[0] else None
        return grad_x, None, None, None, None
