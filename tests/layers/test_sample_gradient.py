"""Reductions of per-sample gradients are those of their rows, in whatever form these are held."""

from __future__ import annotations

import pytest
import torch

from nas_search.layers.embedding import TableGradient
from nas_search.layers.sample_gradient import DenseGradient, FactoredGradient, SampleGradient

K, N = 3, 4


def assert_equal(seen: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(seen, expected, rtol=1e-12, atol=1e-12)


def gradients() -> list[SampleGradient]:
    generator = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(K * N, *shape, generator=generator, dtype=torch.float64)

    tokens = torch.randint(5, (K * N, 6), generator=generator)
    return [
        DenseGradient(numbers(7)),
        FactoredGradient(numbers(5), numbers(3)),
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
