"""The per-sample gradient of one parameter tensor, in the form in which it came out of backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Factors:
    """What a layer's weight gradient is made of, sample by sample.

    Attributes:
        inputs: what entered the layer, (n, ...).
        errors: gradients of the loss with respect to what left it, (n, ...).
    """

    inputs: Tensor
    errors: Tensor

    def grams(self) -> tuple[Tensor, Tensor]:
        """Return the (n, n) Gram matrices of the samples' inputs and of their errors."""
        a, b = self.inputs.flatten(1), self.errors.flatten(1)
        return a @ a.T, b @ b.T

    def and_also(self, other: Factors) -> Factors:
        """Return the factors of two uses of one weight: the Gram matrices add up."""
        return Factors(
            torch.cat([self.inputs.flatten(1), other.inputs.flatten(1)], 1),
            torch.cat([self.errors.flatten(1), other.errors.flatten(1)], 1),
        )


class SampleGradient(Protocol):
    """Gradients of n samples' losses with respect to one parameter tensor of P elements."""

    @property
    def factors(self) -> Factors | None:
        """What the gradient is made of; None for biases and batch-norm's parameters."""
        ...

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
    factors: Factors | None = None

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

    @property
    def factors(self) -> Factors:
        """Inputs and errors."""
        return Factors(self.inputs, self.errors)

    def matrix(self) -> Tensor:
        """Return the (n, out_features * in_features) rows."""
        return (self.errors[:, :, None] * self.inputs[:, None, :]).flatten(1)

    def gram(self) -> Tensor:
        """Return (A A^T) o (B B^T): <b_i a_i^T, b_j a_j^T> = <a_i, a_j> <b_i, b_j>."""
        inputs, errors = self.factors.grams()
        return inputs * errors
