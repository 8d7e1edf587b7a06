"""Gradients of depthwise convolutions on a CPU, written as forward convolutions.

The library's CPU code for the gradients of depthwise convolutions falls back to a slow path for
5 x 5 kernels and for dilation, 5 to 20 times slower than the forward pass of the same shape. Both
gradients are themselves depthwise convolutions, for which the forward code is fast:

* with respect to the weight, tap (a, b) is ``sum_hw x[s h + d a, s w + d b] e[h, w]``: the input
  convolved with the *error* as kernel, stride and dilation exchanged;
* with respect to the input, the error (spread out by the stride) convolved with the flipped kernel.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]


def worthwhile(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Say whether the functions of this file apply: depthwise, one output a channel, on a CPU."""
    return x.device.type == "cpu" and groups == x.shape[1] == weight.shape[0] and groups > 1


def weight_gradient(
    x: Tensor, error: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Return per-sample weight gradients, (n, C * k * k).

    Args:
        x: the layer's input, (n, C, H, W).
        error: gradient of the loss with respect to the output, (n, C, H', W').
        weight: (C, 1, k, k); only its shape matters.
        stride: the convolution's stride, (vertical, horizontal); so too ``padding``, ``dilation``.
    """
    n, channels, height, width = x.shape
    taps = F.conv2d(
        x.reshape(1, n * channels, height, width),
        error.reshape(n * channels, 1, *error.shape[2:]),
        stride=dilation,
        padding=padding,
        dilation=stride,
        groups=n * channels,
    )
    # Rows and columns of the input that the stride never reaches show up as taps past the kernel.
    return taps[0, :, : weight.shape[2], : weight.shape[3]].reshape(n, -1)


def input_gradient(
    x: Tensor, error: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Return the gradient with respect to ``x``; arguments as :func:`weight_gradient`."""
    if stride != (1, 1):
        spread = error.new_zeros(
            *error.shape[:2],
            *((size - 1) * s + 1 for size, s in zip(error.shape[2:], stride, strict=True)),
        )
        spread[:, :, :: stride[0], :: stride[1]] = error
        error = spread
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    sides = [
        (r - p, size - e + p)
        for r, p, size, e in zip(reach, padding, x.shape[2:], error.shape[2:], strict=True)
    ]
    (top, bottom), (left, right) = sides
    flipped = weight.flip(2, 3)
    if top == bottom >= 0 and left == right >= 0:
        return F.conv2d(error, flipped, padding=(top, left), dilation=dilation, groups=x.shape[1])
    error = F.pad(error, (left, right, top, bottom))
    return F.conv2d(error, flipped, dilation=dilation, groups=x.shape[1])
