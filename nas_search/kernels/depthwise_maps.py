"""Per-sample weight gradients of depthwise convolutions on a GPU, one program per map.

A tap of the gradient is the sum over a map of the error times the shifted input. A GPU's library,
asked for it as a convolution of n K C groups, takes .23 to .48 ms for 512 samples of 16 channels of
32 x 32 on an H200, where reading input and error once takes .02. Here a program holds the error of
one map and finds all taps of it. (Counted from its instructions, .05 for 3 x 3 and .1 for 5 x 5;
`python -m benchmarks.gpu` measures it.)
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nas_search.kernels.guard import attempt, usable

Pair = tuple[int, int]

NAME = "depthwise weight gradient"

PLACES = 4096
"""Pixels of the largest map: a program holds it in registers."""


def worthwhile(x: Tensor, error: Tensor, weight: Tensor, groups: int) -> bool:
    """Say whether this file applies: depthwise, one output a channel, maps up to 64 x 64, a GPU."""
    every = groups == x.shape[1] == len(weight) and groups > 1
    return every and error.shape[2:].numel() <= PLACES and usable(NAME, x.device)


def weight_gradient(
    x: Tensor,
    error: Tensor,
    weight: Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    plain: Callable[[], Tensor],
) -> Tensor:
    """Return per-sample weight gradients, (n, C * k * k).

    Args:
        x: the layer's input, (n, C, H, W).
        error: gradient of the loss with respect to the output, (n, C, H', W').
        weight: (C, 1, k, k); only its shape matters.
        stride: the convolution's stride, (vertical, horizontal); so too ``padding``, ``dilation``.
        plain: computes the same by the library, where the kernel fails.
    """

    def kernel() -> Tensor:
        from nas_search.kernels.depthwise_triton import taps  # needs a package that may be missing

        return taps(x, error, weight, stride, padding, dilation)

    return attempt(NAME, kernel, plain)
