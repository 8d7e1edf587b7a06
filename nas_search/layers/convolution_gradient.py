"""Gradients of a convolution: of its weight sample by sample, and of its input.

With samples folded into the channels, (n, C, H, W) seen as (1, n C, H, W), a convolution of n g
groups convolves every sample with its own copy of the weight; the ordinary weight gradient of that
convolution is the stack of the per-sample weight gradients. One library call per layer gives it, at
about the price of the batch's own weight gradient, and no copy of the activations is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.layers import depthwise
from nas_search.layers.sample_gradient import DenseGradient, FactoredGradient, Factors

Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """How a convolution moves over its input; pairs are (vertical, horizontal)."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


def sample_gradient(
    x: Tensor, error: Tensor, weight: Tensor, geometry: Geometry, low: bool = False
) -> DenseGradient | FactoredGradient:
    """Return the per-sample gradients of a convolution's weight, factored where they have rank 1.

    Args:
        x: the layer's input, (n, C, H, W).
        error: gradient of the loss with respect to the output, (n, O, H', W').
        weight: (O, C / groups, kh, kw).
        geometry: the convolution's stride, padding, dilation and groups.
        low: whether inputs and errors are bfloat16, of which rows are kept in float32.
    """
    if is_linear(x, error, weight, geometry):
        patches = x.flatten(1)
        if weight.shape[2:] != x.shape[2:]:
            g = geometry
            patches = F.unfold(x, weight.shape[2:], g.dilation, g.padding, g.stride).flatten(1)
        errors = error.flatten(1)
        if low:
            patches, errors = patches.float(), errors.float()
        return FactoredGradient(patches, errors)
    rows = weight_gradient(x, error, weight, geometry)
    return DenseGradient(rows.float() if low else rows, Factors(x, error))


def is_linear(x: Tensor, error: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Whether the convolution has one place of output, which sees all of its input.

    Then it is a linear layer: one patch meets one error. So begins the classifier of timm's VGG,
    whose weight has 103 million elements, and so are 3 x 3 filters on maps of one pixel.
    """
    if geometry.groups != 1 or error.shape[2:] != (1, 1):
        return False
    seen = (
        range(-padding, (kernel - 1) * dilation - padding + 1, dilation)
        for kernel, dilation, padding in zip(
            weight.shape[2:], geometry.dilation, geometry.padding, strict=True
        )
    )
    return all(set(range(size)) <= set(own) for size, own in zip(x.shape[2:], seen, strict=True))


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
    rows: Tensor = per_sample.reshape(n, -1)
    return rows


def input_gradient(x: Tensor, error: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the gradient with respect to ``x``; arguments as :func:`weight_gradient`."""
    g = geometry
    # The library's own code is good at one case: strided without dilation.
    if depthwise.worthwhile(x, weight, g.groups) and (g.stride == (1, 1) or g.dilation != (1, 1)):
        return depthwise.input_gradient(x, error, weight, g.stride, g.padding, g.dilation)
    grad_x: Tensor
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
