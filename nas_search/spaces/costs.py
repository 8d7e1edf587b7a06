"""Parameters and multiply-accumulates of modules, counted on the meta device at no cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nas_search.gradients.counting import count_network


@dataclass(frozen=True)
class Cost:
    """Size of a network: trainable parameters and multiply-accumulates of one image.

    Attributes:
        params: number of trainable parameters, as built (dead branches count).
        macs: multiply-accumulates of convolutions and linear layers for one image.
        uncounted: functions whose multiply-accumulates are missing, since no layer of the book
            counts them.
    """

    params: int
    macs: int
    uncounted: frozenset[str] = frozenset()

    def __add__(self, other: Cost) -> Cost:
        uncounted = self.uncounted | other.uncounted
        return Cost(self.params + other.params, self.macs + other.macs, uncounted)


def count(module: nn.Module, input_shape: tuple[int, int, int]) -> Cost:
    """Count ``module`` by running it once on one image.

    MACs are those of the registered layers that run in eval mode; an auxiliary head, which runs
    only in train mode, adds parameters but no MACs. The module stays in eval mode.

    Args:
        module: a module on any device; the image is made on the same device.
        input_shape: (channels, height, width) of the image.
    """
    like = next(module.parameters(), torch.empty(0, device="meta"))
    image = torch.empty(1, *input_shape, device=like.device, dtype=like.dtype)
    counted = count_network(module.eval(), image)
    return Cost(counted.params, counted.macs, frozenset(counted.uncounted))


def cost_of(make: Callable[..., nn.Module], *args: Any, input_shape: tuple[int, int, int]) -> Cost:
    """Return the cost of ``make(*args)`` for one image; builds it on the meta device."""
    with torch.device("meta"):
        module = make(*args)
    return count(module, input_shape)
