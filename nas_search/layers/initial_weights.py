"""Distributions of initial weights, and how the schemes of the field choose them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

Scheme = Literal["default", "kaiming_normal", "kaiming_fan_out", "standard_normal"]
"""Distribution of the initial weights.

``default``
    torch's own: U(-b, b) with b = 1/sqrt(fan_in) for weights and biases of convolutions and linear
    layers.
``kaiming_normal``
    N(0, 2/fan_in) for weights (He et al. 2015), zero biases.
``kaiming_fan_out``
    N(0, 2/fan_out) for weights, zero biases.
``standard_normal``
    N(0, 1) for weights, zero biases (Zen-NAS).

Normalization layers start at scale 1 and shift 0 in all of them.
"""

SCHEMES: tuple[str, ...] = get_args(Scheme)


class Distribution(Protocol):
    """Draws the values of one parameter."""

    def fill(self, values: Tensor, generator: torch.Generator) -> None:
        """Fill ``values`` in place."""
        ...


@dataclass(frozen=True)
class Uniform:
    """U(-bound, bound)."""

    bound: float

    def fill(self, values: Tensor, generator: torch.Generator) -> None:
        """Fill ``values`` in place."""
        values.uniform_(-self.bound, self.bound, generator=generator)


@dataclass(frozen=True)
class Normal:
    """N(0, deviation^2)."""

    deviation: float

    def fill(self, values: Tensor, generator: torch.Generator) -> None:
        """Fill ``values`` in place."""
        values.normal_(0, self.deviation, generator=generator)


@dataclass(frozen=True)
class Constant:
    """One value everywhere."""

    value: float

    def fill(self, values: Tensor, generator: torch.Generator) -> None:
        """Fill ``values`` in place."""
        values.fill_(self.value)


def weight_and_bias(fan_in: int, fan_out: int, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of the ``weight`` and the ``bias`` of a layer with these fans."""
    if scheme == "default":
        uniform = Uniform(1 / math.sqrt(fan_in))
        return {"weight": uniform, "bias": uniform}
    deviation = {
        "kaiming_normal": math.sqrt(2 / fan_in),
        "kaiming_fan_out": math.sqrt(2 / fan_out),
        "standard_normal": 1.0,
    }[scheme]
    return {"weight": Normal(deviation), "bias": Constant(0.0)}


def scale_and_shift() -> dict[str, Distribution]:
    """Return the distributions of a normalization layer's ``weight`` and ``bias``."""
    return {"weight": Constant(1.0), "bias": Constant(0.0)}
