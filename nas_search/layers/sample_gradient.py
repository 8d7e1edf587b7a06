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
        inputs: what entered the layer, (m, ...).
        errors: gradients of the loss with respect to what left it, (m, ...).
    """

    inputs: Tensor
    errors: Tensor

    def grams(self, candidates: int) -> tuple[Tensor, Tensor]:
        """Return each candidate's Gram matrices of inputs and of errors, (k, n, n) both."""
        return _grams(self.inputs.flatten(1), candidates), _grams(
            self.errors.flatten(1), candidates
        )

    def by_sample(self, samples: int) -> Factors:
        """Return the factors with all rows of each of ``samples`` samples in one row."""
        if len(self.inputs) == samples:
            return self
        return Factors(self.inputs.reshape(samples, -1), self.errors.reshape(samples, -1))

    def and_also(self, other: Factors) -> Factors:
        """Return the factors of two uses of one weight: the Gram matrices add up."""
        return Factors(
            torch.cat([self.inputs.flatten(1), other.inputs.flatten(1)], 1),
            torch.cat([self.errors.flatten(1), other.errors.flatten(1)], 1),
        )


class SampleGradient(Protocol):
    """Gradients of m samples' losses with respect to one parameter tensor of P elements.

    The samples are those of k candidates one after another, n = m / k of each; k is 1 outside of
    stacked networks. What a layer finds may have several rows per sample.
    """

    @property
    def factors(self) -> Factors | None:
        """What the gradient is made of; None for biases and parameters of normalization."""
        ...

    def by_sample(self, samples: int) -> SampleGradient:
        """Return the gradient with the rows of each of ``samples`` samples summed up."""
        ...

    def matrix(self) -> Tensor:
        """Return the (m, P) matrix whose row i is sample i's gradient."""
        ...

    def grams(self, candidates: int) -> Tensor:
        """Return each candidate's Gram matrix of its rows of :meth:`matrix`, (k, n, n)."""
        ...

    def sums(self, candidates: int, weights: Tensor | None = None) -> Tensor:
        """Return each candidate's sum of its rows of :meth:`matrix`, (k, P).

        Args:
            candidates: number k of candidates.
            weights: (n,) factors of the rows; None for ones.
        """
        ...

    def square_sums(self, candidates: int) -> Tensor:
        """Return each candidate's sum of the squares of its rows of :meth:`matrix`, (k,)."""
        ...


@dataclass(frozen=True)
class DenseGradient:
    """A gradient held as its (m, P) matrix ``rows``."""

    rows: Tensor
    factors: Factors | None = None

    def by_sample(self, samples: int) -> DenseGradient:
        """Return the gradient with the rows of each of ``samples`` samples summed up."""
        if len(self.rows) == samples:
            return self
        factors = None if self.factors is None else self.factors.by_sample(samples)
        return DenseGradient(self.rows.unflatten(0, (samples, -1)).sum(1), factors)

    def matrix(self) -> Tensor:
        """Return the (m, P) rows."""
        return self.rows

    def grams(self, candidates: int) -> Tensor:
        """Return rows @ rows^T of each candidate, (k, n, n)."""
        return _grams(self.rows, candidates)

    def sums(self, candidates: int, weights: Tensor | None = None) -> Tensor:
        """Return each candidate's sum of its rows, (k, P)."""
        own: Tensor = self.rows.unflatten(0, (candidates, -1))
        return own.sum(1) if weights is None else weights.to(own.dtype) @ own

    def square_sums(self, candidates: int) -> Tensor:
        """Return each candidate's sum of the squares of its rows, (k,)."""
        own: Tensor = self.rows.unflatten(0, (candidates, -1))
        return own.square().sum((1, 2))


@dataclass(frozen=True)
class FactoredGradient:
    """The gradient of a linear layer's weight as outer products: row i is b_i a_i^T.

    Attributes:
        inputs: the layer's inputs a, shape (m, in_features).
        errors: gradients b of the loss with respect to the outputs, shape (m, out_features).
    """

    inputs: Tensor
    errors: Tensor

    @property
    def factors(self) -> Factors:
        """Inputs and errors."""
        return Factors(self.inputs, self.errors)

    def by_sample(self, samples: int) -> FactoredGradient | DenseGradient:
        """Return the gradient with the rows of each of ``samples`` samples summed up."""
        if len(self.inputs) == samples:
            return self
        inputs = self.inputs.unflatten(0, (samples, -1))
        errors = self.errors.unflatten(0, (samples, -1))
        rows = torch.bmm(errors.transpose(1, 2), inputs)
        return DenseGradient(rows.flatten(1), Factors(inputs, errors))

    def matrix(self) -> Tensor:
        """Return the (m, out_features * in_features) rows."""
        return (self.errors[:, :, None] * self.inputs[:, None, :]).flatten(1)

    def grams(self, candidates: int) -> Tensor:
        """Return (A A^T) o (B B^T): <b_i a_i^T, b_j a_j^T> = <a_i, a_j> <b_i, b_j>."""
        inputs, errors = self.factors.grams(candidates)
        return inputs * errors

    def sums(self, candidates: int, weights: Tensor | None = None) -> Tensor:
        """Return B^T A of each candidate, (k, P): no row is ever formed."""
        inputs: Tensor = self.inputs.unflatten(0, (candidates, -1))
        errors: Tensor = self.errors.unflatten(0, (candidates, -1))
        if weights is not None:
            errors = errors * weights.to(errors.dtype)[:, None]
        return torch.bmm(errors.mT, inputs).flatten(1)

    def square_sums(self, candidates: int) -> Tensor:
        """Return sum_i ||a_i||^2 ||b_i||^2 of each candidate, (k,)."""
        squares = self.inputs.square().sum(1) * self.errors.square().sum(1)
        own: Tensor = squares.unflatten(0, (candidates, -1))
        return own.sum(1)


def _grams(rows: Tensor, candidates: int) -> Tensor:
    if rows.dtype == torch.bfloat16:  # products of these numbers are exact in TF32, their sums not
        rows = rows.float()
    if candidates == 1:  # the library's plain product is the faster one on a CPU
        return (rows @ rows.T)[None]
    own = rows.unflatten(0, (candidates, -1))
    grams: Tensor = own @ own.mT
    return grams
