"""Parameters and multiply-accumulates of modules, counted on the meta device at no cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.spaces.base import Cost


def count(module: nn.Module, input_shape: tuple[int, int, int]) -> Cost:
    """Count ``module`` by running it once on one image.

    MACs are those of convolutions and linear layers that run in ``eval`` mode; an auxiliary head,
    which runs in training only, adds parameters but no MACs. The module is left in ``eval`` mode.

    Args:
        module: lies on any device; the image is made where its parameters are.
        input_shape: (channels, height, width) of the image.
    """
    macs = 0

    def hook(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv2d):
            kernel = layer.kernel_size[0] * layer.kernel_size[1]
            macs += output[0].numel() * kernel * (layer.in_channels // layer.groups)
        elif isinstance(layer, nn.Linear):
            macs += output[0].numel() * layer.in_features

    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    like = next(module.parameters(), torch.empty(0, device="meta"))
    try:
        with torch.no_grad():
            module.eval()(torch.empty(1, *input_shape, device=like.device, dtype=like.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return Cost(sum(p.numel() for p in module.parameters() if p.requires_grad), macs)


def measure(make: Callable[..., nn.Module], *args: Any, input_shape: tuple[int, int, int]) -> Cost:
    """Return the cost of ``make(*args)`` on one image, building it on the meta device only."""
    with torch.device("meta"):
        module = make(*args)
    return count(module, input_shape)
