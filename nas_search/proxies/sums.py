"""Sums over layers with one transfer from the device."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def summed(terms: Iterable[Tensor]) -> float:
    """Return the sum of scalars, 0 for none; reading them one by one would wait for each."""
    scalars = list(terms)
    return torch.stack(scalars).double().sum().item() if scalars else 0.0
