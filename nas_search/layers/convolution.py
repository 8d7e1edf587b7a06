r"""The layer rule of 2-d convolutions: any stride, padding, dilation and groups.

With samples folded into the channels, (n, C, H, W) seen as (1, n C, H, W), a convolution of n g
groups convolves every sample with its own copy of the weight; the ordinary weight gradient of that
convolution is the stack of the per-sample weight gradients. One library call a layer gives it, at
about the price of the batch's own weight gradient, and no copy of the activations is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.layers import depthwise
from nas_search.layers.recorder import ParameterUse, Recorder
from nas_search.layers.sample_gradient import DenseGradient, Factors

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """How a convolution moves over its input; pairs are (vertical, horizontal)."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


def convolution(name: str, module: nn.Conv2d, recorder: Recorder, x: Tensor) -> Tensor:
    """Apply ``module`` to ``x`` (n, C, H, W) and record its per-sample gradients in backward.

    Raises:
        InputError: the layer pads with something else than zeros.
    """
    geometry = geometry_of(name, module)
    counts = module.bias is not None and recorder.every_parameter
    of_bias = recorder.used(f"{name}.bias") if counts else None
    uses = recorder.used(f"{name}.weight"), of_bias
    return _Convolution.apply(x, module.weight, module.bias, geometry, uses, recorder)


def geometry_of(name: str, module: nn.Conv2d) -> Geometry:
    """Return how ``module`` moves over its input.

    Raises:
        InputError: it pads with something else than zeros, or differently on two sides.
    """
    if module.padding_mode != "zeros":
        raise InputError(
            f"layer '{name}' pads with '{module.padding_mode}'; "
            "per-sample gradients know zero padding only: pad with F.pad before the layer"
        )
    if isinstance(module.padding, str):
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if module.padding == "valid":
            padding = (0, 0)
        elif any(t % 2 for t in total):
            raise InputError(
                f"layer '{name}' has padding='same' that differs between sides; pad explicitly"
            )
        else:
            padding = (total[0] // 2, total[1] // 2)
    else:
        padding = (module.padding[0], module.padding[1])
    return Geometry(
        (module.stride[0], module.stride[1]),
        padding,
        (module.dilation[0], module.dilation[1]),
        module.groups,
    )


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        uses: tuple[ParameterUse, ParameterUse | None],
        recorder: Recorder,
    ) -> Tensor:
        if recorder.low:
            x, weight = x.bfloat16(), weight.bfloat16()
            bias = None if bias is None else bias.bfloat16()
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.uses, ctx.recorder = geometry, uses, recorder
        g = geometry
        return F.conv2d(x, weight, bias, g.stride, g.padding, g.dilation, g.groups)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        x, weight = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        of_weight, of_bias = ctx.uses
        rows = weight_gradient(x, error, weight, ctx.geometry)
        rows = rows.float() if recorder.low else rows
        recorder.add(of_weight, DenseGradient(rows, Factors(x, error)))
        if of_bias is not None:
            recorder.add(of_bias, DenseGradient(error.sum((2, 3))))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = input_gradient(x, error, weight, ctx.geometry)
        return grad_x, None, None, None, None, None


def weight_gradient(x: Tensor, error: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the (n, weight.numel()) per-sample weight gradients of a convolution.

    Args:
        x: the layer's input, (n, C, H, W).
        error: gradient of the loss with respect to the output, (n, O, H', W').
        weight: (O, C / groups, k, k).
        geometry: the convolution's stride, padding, dilation and groups.
    """
    n, channels, height, width = x.shape
    g = geometry
    if weight.shape[2:] == (1, 1) and g.groups == 1 and g.padding == (0, 0):
        seen = x[:, :, :: g.stride[0], :: g.stride[1]] if g.stride != (1, 1) else x
        return torch.bmm(error.flatten(2), seen.flatten(2).transpose(1, 2)).flatten(1)
    if depthwise.worthwhile(x, weight, g.groups):
        return depthwise.weight_gradient(x, error, weight, g.stride, g.padding, g.dilation)
    _, per_sample, _ = torch.ops.aten.convolution_backward(
        error.reshape(1, -1, *error.shape[2:]),
        x.reshape(1, n * channels, height, width),
        weight.expand(n, *weight.shape).reshape(-1, *weight.shape[1:]),
        None,
        g.stride,
        g.padding,
        g.dilation,
        False,
        (0, 0),
        n * g.groups,
        (False, True, False),
    )
    return per_sample.reshape(n, -1)


def input_gradient(x: Tensor, error: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the gradient with respect to ``x``; arguments as :func:`weight_gradient`."""
    g = geometry
    # The library's own code is good at one case: strided without dilation.
    if depthwise.worthwhile(x, weight, g.groups) and (g.stride == (1, 1) or g.dilation != (1, 1)):
        return depthwise.input_gradient(x, error, weight, g.stride, g.padding, g.dilation)
    grad_x, _, _ = torch.ops.aten.convolution_backward(
        error,
        x,
        weight,
        None,
        g.stride,
        g.padding,
        g.dilation,
        False,
        (0, 0),
        g.groups,
        (True, False, False),
    )
    return grad_x
