"""The per-sample gradient of one parameter tensor, in the form in which it came out of backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class SampleGradient(Protocol):
    """Gradients of n samples' losses with respect to one parameter tensor of P elements."""

    def matrix(self) -> Tensor:
        """Return the (n, P) matrix whose row i is sample i's gradient."""
        ...

    def gram(self) -> Tensor:
        """Return the (n, n) Gram matrix of the rows of :meth:`matrix`."""
        ...


@dataclass(frozen=True)
class DenseGradient:
    """A gradient held as its (n, P) matrix ``rows``."""

    rows: Tensor

    def matrix(self) -> Tensor:
        """Return the (n, P) rows."""
        return self.rows

    def gram(self) -> Tensor:
        """Return rows @ rows^T, shape (n, n)."""
        return self.rows @ self.rows.T


@dataclass(frozen=True)
class FactoredGradient:
    """The gradient of a linear layer's weight as outer products: row i is b_i a_i^T.

    Attributes:
        inputs: the layer's inputs a, shape (n, in_features).
        errors: gradients b of the loss with respect to the outputs, shape (n, out_features).
    """

    inputs: Tensor
    errors: Tensor

    def matrix(self) -> Tensor:
        """Return the (n, out_features * in_features) rows."""
        return (self.errors[:, :, None] * self.inputs[:, None, :]).flatten(1)

    def gram(self) -> Tensor:
        """Return (A A^T) o (B B^T): <b_i a_i^T, b_j a_j^T> = <a_i, a_j> <b_i, b_j>."""
        return (self.inputs @ self.inputs.T) * (self.errors @ self.errors.T)
