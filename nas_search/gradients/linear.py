"""The layer rule of linear layers: gradients stay in the factored form b a^T."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients.gradient import DenseGradient, FactoredGradient, Factors
from nas_search.gradients.recorder import Recorder


def linear(name: str, module: nn.Linear, recorder: Recorder, x: Tensor) -> Tensor:
    """Apply ``module`` to ``x`` (n, ..., in_features), record per-sample gradients in backward."""
    recorder.used(f"{name}.weight")
    if module.bias is not None and recorder.every_parameter:
        recorder.used(f"{name}.bias")
    return _Linear.apply(x, module.weight, module.bias, name, recorder)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, name: str, recorder: Recorder
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.name, ctx.recorder, ctx.has_bias = name, recorder, bias is not None
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, weight = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        if x.dim() == 2:
            recorder.add(f"{ctx.name}.weight", FactoredGradient(x, error))
        else:  # positions of one sample share the weight: their outer products add up
            rows = torch.bmm(error.flatten(1, -2).transpose(1, 2), x.flatten(1, -2))
            recorder.add(f"{ctx.name}.weight", DenseGradient(rows.flatten(1), Factors(x, error)))
        if ctx.has_bias and recorder.every_parameter:
            rows = error.flatten(1, -2).sum(1) if error.dim() > 2 else error
            recorder.add(f"{ctx.name}.bias", DenseGradient(rows))
        grad_x = error @ weight if ctx.needs_input_grad[0] else None
        return grad_x, None, None, None, None
