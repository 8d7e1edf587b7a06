"""The per-sample gradient of one parameter tensor, in the form in which it came out of backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class SampleGradient(Protocol):
    """Gradients of m samples' losses with respect to one parameter tensor of P elements.

    The samples are those of k candidates one after another, n = m / k of each; k is 1 outside of
    population networks.
    """

    def matrix(self) -> Tensor:
        """Return the (m, P) matrix whose row i is sample i's gradient."""
        ...

    def grams(self, candidates: int) -> Tensor:
        """Return each candidate's Gram matrix of its rows of :meth:`matrix`, (k, n, n)."""
        ...


@dataclass(frozen=True)
class DenseGradient:
    """A gradient held as its (m, P) matrix ``rows``."""

    rows: Tensor

    def matrix(self) -> Tensor:
        """Return the (m, P) rows."""
        return self.rows

    def grams(self, candidates: int) -> Tensor:
        """Return rows @ rows^T of each candidate, (k, n, n)."""
        return _grams(self.rows, candidates)


@dataclass(frozen=True)
class FactoredGradient:
    """The gradient of a linear layer's weight as outer products: row i is b_i a_i^T.

    Attributes:
        inputs: the layer's inputs a, shape (m, in_features).
        errors: gradients b of the loss with respect to the outputs, shape (m, out_features).
    """

    inputs: Tensor
    errors: Tensor

    def matrix(self) -> Tensor:
        """Return the (m, out_features * in_features) rows."""
        return (self.errors[:, :, None] * self.inputs[:, None, :]).flatten(1)

    def grams(self, candidates: int) -> Tensor:
        """Return (A A^T) o (B B^T): <b_i a_i^T, b_j a_j^T> = <a_i, a_j> <b_i, b_j>."""
        return _grams(self.inputs, candidates) * _grams(self.errors, candidates)


def _grams(rows: Tensor, candidates: int) -> Tensor:
    if candidates == 1:  # the library's plain product is the faster one on a CPU
        return (rows @ rows.T)[None]
    own = rows.unflatten(0, (candidates, -1))
    return own @ own.mT
