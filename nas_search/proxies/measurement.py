"""What one forward and one backward pass over (network, probe batch) collects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Measurement:
    """The numbers that scores are functions of.

    Attributes:
        layers: names of the L parameters that received gradient, in the network's order.
        grams: (L, n, n) Gram matrices G_l of the n per-sample gradients of each, float64.
    """

    layers: tuple[str, ...]
    grams: Tensor

    @cached_property
    def cosines(self) -> Tensor:
        """(n, n) cosines K between whole per-sample gradients; ones on the diagonal."""
        return normalised(self.grams.sum(0))

    @cached_property
    def layer_cosines(self) -> Tensor:
        """(L, n, n) cosines K_l between the per-sample gradients of each parameter alone."""
        return normalised(self.grams)

    @cached_property
    def layer_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`layer_cosines`, ascending; they sum to n in each row."""
        return torch.linalg.eigvalsh(self.layer_cosines)


def normalised(gram: Tensor) -> Tensor:
    """Return cosines from Gram matrices (..., n, n): G_ij / sqrt(G_ii G_jj).

    A sample without gradient has no direction: its row and column are zero, its diagonal too.
    """
    norms = gram.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    inverse = torch.where(norms > 0, 1 / norms, torch.zeros_like(norms))
    return gram * inverse[..., :, None] * inverse[..., None, :]
