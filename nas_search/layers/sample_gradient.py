"""The per-sample gradient of one parameter tensor, in the form in which it came out of backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nas_search.kernels.grams import grams as grams_of


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
        return grams_of(self.inputs.flatten(1), candidates), grams_of(
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
        return grams_of(self.rows, candidates)

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
    """The gradient of a weight as sums of outer products: row i is sum_t b_it a_it^T.

    So are those of linear layers, of T positions, and of convolutions, whose positions are the
    places of the output. Inner products of two rows take T^2 products of positions and no row:
    <sum_t b_it a_it^T, sum_s b_js a_js^T> = sum_ts <a_it, a_js> <b_it, b_js>. Where positions are
    few and weights large, that is far less work and memory (Rochette et al. 2019, "Efficient
    per-example gradient computations in convolutional neural networks").

    Attributes:
        inputs: what the weight is multiplied with, a, shape (m, T, in).
        errors: gradients b of the loss with respect to what comes out, shape (m, T, out).
        factors: what entered the layer and what came back to it.
    """

    inputs: Tensor
    errors: Tensor
    factors: Factors

    def by_sample(self, samples: int) -> FactoredGradient:
        """Return the gradient with the rows of each of ``samples`` samples summed up."""
        if len(self.inputs) == samples:
            return self
        inputs, errors = (t.reshape(samples, -1, t.shape[-1]) for t in (self.inputs, self.errors))
        return FactoredGradient(inputs, errors, self.factors.by_sample(samples))

    def matrix(self) -> Tensor:
        """Return the (m, out * in) rows."""
        return torch.bmm(self.errors.mT, self.inputs).flatten(1)

    def grams(self, candidates: int) -> Tensor:
        """Return each candidate's Gram matrix of its rows, (k, n, n)."""
        positions = self.inputs.shape[1]
        products = grams_of(self.inputs.flatten(0, 1), candidates)
        products = products * grams_of(self.errors.flatten(0, 1), candidates)
        if positions == 1:
            return products
        by_pair = products.unflatten(2, (-1, positions)).unflatten(1, (-1, positions))
        summed: Tensor = by_pair.sum((2, 4))
        return summed

    def sums(self, candidates: int, weights: Tensor | None = None) -> Tensor:
        """Return B^T A of each candidate, (k, P): no row is ever formed."""
        inputs: Tensor = self.inputs.unflatten(0, (candidates, -1)).flatten(1, 2)
        errors: Tensor = self.errors.unflatten(0, (candidates, -1))
        if weights is not None:
            errors = errors * weights.to(errors.dtype)[:, None, None]
        return torch.bmm(errors.flatten(1, 2).mT, inputs).flatten(1)

    def square_sums(self, candidates: int) -> Tensor:
        """Return sum_i ||row i||^2 of each candidate, (k,)."""
        products = torch.bmm(self.inputs, self.inputs.mT) * torch.bmm(self.errors, self.errors.mT)
        own: Tensor = products.sum((1, 2)).unflatten(0, (candidates, -1))
        return own.sum(1)


def factors_are_cheaper(samples: int, positions: int, inputs: int, outputs: int) -> bool:
    """Whether a Gram matrix takes less by factors than by rows.

    Per pair of samples: T^2 (in + out) multiplications against in * out, and per sample T * in *
    out for its row. Rows are read and written besides, so half as many count as less.
    """
    by_factors = samples * positions**2 * (inputs + outputs)
    by_rows = (samples + positions) * inputs * outputs
    return positions == 1 or 2 * by_factors < by_rows
