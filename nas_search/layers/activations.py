"""Activations: functions of one element each. All but PReLU have no parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.initial_weights import Constant, Distribution, Scheme
from nas_search.layers.recorder import Recorder, Stack
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.layers.scale_and_shift import scaled
from nas_search.stacked.candidates import one_after_another, side_by_side

WITHOUT_PARAMETERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "relu": (nn.ReLU, ()),
    "relu6": (nn.ReLU6, ()),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope",)),
    "elu": (nn.ELU, ("alpha",)),
    "celu": (nn.CELU, ("alpha",)),
    "selu": (nn.SELU, ()),
    "gelu": (nn.GELU, ("approximate",)),
    "silu": (nn.SiLU, ()),
    "mish": (nn.Mish, ()),
    "hardswish": (nn.Hardswish, ()),
    "hardsigmoid": (nn.Hardsigmoid, ()),
    "hardtanh": (nn.Hardtanh, ("min_val", "max_val")),
    "sigmoid": (nn.Sigmoid, ()),
    "tanh": (nn.Tanh, ()),
    "softplus": (nn.Softplus, ("beta", "threshold")),
}
"""Names of the functions, with the module that computes each and the module's settings."""


def functions_called(name: str) -> tuple[Callable[..., Any], ...]:
    """Return the torch functions called ``name``, in place or not."""
    found = (
        getattr(place, each, None) for place in (F, torch, Tensor) for each in (name, f"{name}_")
    )
    return tuple(dict.fromkeys(function for function in found if function is not None))


def saved(output: Tensor, input: Tensor, *_: Any, **__: Any) -> int:
    """Return the elements of the input or of the output, whichever the derivative needs."""
    return input.numel()


def _arguments(settings: tuple[str, ...], module: nn.Module) -> dict[str, Any]:
    return {setting: getattr(module, setting) for setting in settings}


def per_sample_prelu(recorder: Recorder, input: Tensor, weight: Tensor) -> Tensor:
    """Return ``F.prelu`` of ``input`` (m, C, ...)."""
    recorder.rows_per_sample(input)
    use = recorder.used(weight)
    x = recorder.full(input)
    if use is None:
        return F.prelu(x, weight.detach())
    slope = weight.view(-1, *(1,) * (x.dim() - 2))
    return F.relu(x) + scaled(recorder, x.clamp(max=0), slope, None, (use, None))


def stacked_prelu(stack: Stack, input: Tensor, weight: Tensor) -> Tensor:
    """Return the same with slopes (k, 1) or (k, C) of k candidates."""
    slopes = weight.expand(-1, input.shape[1]).flatten()
    y = F.prelu(side_by_side(input, stack.candidates), slopes)
    return one_after_another(y, stack.candidates)


def initial_slope(module: nn.PReLU, scheme: Scheme) -> dict[str, Distribution]:
    """Return the slope that the module starts with, in every scheme."""
    return {"weight": Constant(module.init)}


for _name, (_kind, _settings) in WITHOUT_PARAMETERS.items():
    LAYERS.add(
        LayerRule(
            name=_name,
            kinds=(_kind,),
            functions=functions_called(_name),
            arguments=partial(_arguments, _settings),
            saved=saved,
        )
    )
LAYERS.add(
    LayerRule(
        name="prelu",
        kinds=(nn.PReLU,),
        functions=functions_called("prelu"),
        arguments=lambda module: {"weight": module.weight},
        per_sample=per_sample_prelu,
        stacked=stacked_prelu,
        initial_weights=initial_slope,
        saved=saved,
    )
)
