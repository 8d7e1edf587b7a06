"""Reductions of per-sample gradients are those of their rows, in whatever form these are held."""

from __future__ import annotations

import pytest
import torch

from nas_search.layers.embedding import TableGradient
from nas_search.layers.sample_gradient import (
    DenseGradient,
    FactoredGradient,
    Factors,
    SampleGradient,
)

K, N = 3, 4


def assert_equal(seen: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(seen, expected, rtol=1e-12, atol=1e-12)


def factored(inputs: torch.Tensor, errors: torch.Tensor) -> FactoredGradient:
    return FactoredGradient(inputs, errors, Factors(inputs, errors))


def gradients() -> list[SampleGradient]:
    generator = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(K * N, *shape, generator=generator, dtype=torch.float64)

    tokens = torch.randint(5, (K * N, 6), generator=generator)
    return [
        DenseGradient(numbers(7)),
        factored(numbers(1, 5), numbers(1, 3)),
        factored(numbers(4, 5), numbers(4, 3)),
        TableGradient(tokens, numbers(6, 2), 5),
    ]


@pytest.mark.parametrize("gradient", gradients(), ids=lambda g: type(g).__name__)
def test_reductions_are_those_of_the_rows(gradient: SampleGradient) -> None:
    rows = gradient.matrix().unflatten(0, (K, N))
    weights = torch.rand(N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert_equal(gradient.grams(K), rows @ rows.mT)
    assert_equal(gradient.sums(K), rows.sum(1))
    expected = (rows * weights[:, None]).sum(1)
    assert_equal(gradient.sums(K, weights), expected)
    assert_equal(gradient.square_sums(K), rows.square().sum((1, 2)))


@pytest.mark.parametrize("gradient", gradients()[1:3], ids=["one", "four"])
def test_rows_are_sums_of_outer_products(gradient: FactoredGradient) -> None:
    expected = torch.einsum("mto,mti->moi", gradient.errors, gradient.inputs)
    assert_equal(gradient.matrix(), expected.flatten(1))
    halves = gradient.by_sample(K * N // 2)
    assert_equal(halves.matrix(), expected.flatten(1).unflatten(0, (-1, 2)).sum(1))
