"""Sums over layers with one transfer from the device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import fsum

import torch
from torch import Tensor


def summed(terms: Iterable[Tensor]) -> float:
    """Return the sum of scalars, 0 for none; reading them one by one would wait for each."""
    scalars = list(terms)
    return torch.stack(scalars).double().sum().item() if scalars else 0.0


def summed_each(terms: Tensor, lengths: Sequence[int]) -> list[float]:
    """Return the sums of consecutive parts of ``terms``, added up on the host.

    Args:
        terms: (sum of lengths,).
        lengths: number of terms of each sum.
    """
    numbers = iter(terms.double().tolist())
    return [fsum(islice(numbers, length)) for length in lengths]
