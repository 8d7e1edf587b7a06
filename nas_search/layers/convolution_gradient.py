"""Gradients of a convolution: of its weight sample by sample, and of its input.

With samples folded into the channels, (n, C, H, W) seen as (1, n C, H, W), a convolution of n g
groups convolves every sample with its own copy of the weight; the ordinary weight gradient of that
convolution is the stack of the per-sample weight gradients. One library call per layer gives it, at
about the price of the batch's own weight gradient, and no copy of the activations is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.kernels import depthwise, depthwise_maps, shifted_products
from nas_search.layers.sample_gradient import (
    DenseGradient,
    FactoredGradient,
    Factors,
    factors_are_cheaper,
)

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
    """Return the per-sample gradients of a convolution's weight, factored where that is cheaper.

    It is on small maps: one place of output makes a linear layer of the convolution, such as the
    one of 103 million weights that the classifier of timm's VGG begins with.

    Args:
        x: the layer's input, (n, C, H, W).
        error: gradient of the loss with respect to the output, (n, O, H', W').
        weight: (O, C / groups, kh, kw).
        geometry: the convolution's stride, padding, dilation and groups.
        low: whether inputs and errors are bfloat16, of which rows are kept in float32.
    """
    factors = Factors(x, error)
    places, inputs = math.prod(error.shape[2:]), weight[0].numel()
    if geometry.groups == 1 and factors_are_cheaper(len(x), places, inputs, len(weight)):
        patches = _patches(x, weight, geometry).mT
        errors = error.flatten(2).mT
        if low:
            patches, errors = patches.float(), errors.float()
        return FactoredGradient(patches, errors, factors)
    rows = weight_gradient(x, error, weight, geometry)
    return DenseGradient(rows.float() if low else rows, factors)


def _patches(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return what the filters are multiplied with at each place, (n, C kh kw, H' W')."""
    g = geometry
    kernel = weight.shape[2:]
    if kernel == (1, 1) and g.padding == (0, 0):
        return x[:, :, :: g.stride[0], :: g.stride[1]].flatten(2)
    if kernel == x.shape[2:] and g.padding == (0, 0) and g.dilation == (1, 1):
        return x.flatten(1).unsqueeze(2)  # one place, and no copy
    return F.unfold(x, kernel, g.dilation, g.padding, g.stride)


def weight_gradient(x: Tensor, error: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Return the (n, weight.numel()) per-sample weight gradients of a convolution.

    Args:
        x: the layer's input, (n, C, H, W).
        error: gradient of the loss with respect to the output, (n, O, H', W').
        weight: (O, C / groups, k, k).
        geometry: the convolution's stride, padding, dilation and groups.
    """
    g = geometry
    if weight.shape[2:] == (1, 1) and g.groups == 1 and g.padding == (0, 0):
        seen = x[:, :, :: g.stride[0], :: g.stride[1]] if g.stride != (1, 1) else x
        return torch.bmm(error.flatten(2), seen.flatten(2).transpose(1, 2)).flatten(1)
    if depthwise_maps.worthwhile(x, error, weight, g.groups):
        by_library = partial(grouped_weight_gradient, x, error, weight, g)
        return depthwise_maps.weight_gradient(
            x, error, weight, g.stride, g.padding, g.dilation, by_library
        )
    if depthwise.worthwhile(x, weight, g.groups):
        return depthwise.weight_gradient(x, error, weight, g.stride, g.padding, g.dilation)
    if shifted_products.worthwhile(x, weight, g.stride, g.dilation, g.groups):
        return shifted_products.weight_gradient(x, error, weight, g.padding)
    return grouped_weight_gradient(x, error, weight, g)


def grouped_weight_gradient(x: Tensor, error: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    """Return the same by the library, for which it is one convolution of n times the groups."""
    n, channels, height, width = x.shape
    _, per_sample, _ = torch.ops.aten.convolution_backward(
        error.reshape(1, -1, *error.shape[2:]),
        x.reshape(1, n * channels, height, width),
        weight.new_empty(n * len(weight), *weight.shape[1:]),  # only its shape matters
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
