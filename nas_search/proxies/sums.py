"""Sums over layers that leave the device as one number."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def summed(terms: Iterable[Tensor]) -> float:
    """Return the sum of scalars, 0 of none: reading each by itself would wait for the device."""
    scalars = list(terms)
    return torch.stack(scalars).double().sum().item() if scalars else 0.0
