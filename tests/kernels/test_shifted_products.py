"""Weight gradients by shifted products are those of one backward pass per sample."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.kernels import shifted_products


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_they_are_those_of_each_sample_alone(data: st.DataObject) -> None:
    size = st.integers(1, 4)
    n, channels, outputs = (data.draw(size) for _ in range(3))
    kernel = data.draw(size), data.draw(size)
    padding = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    sides = [
        data.draw(st.integers(max(1, k - 2 * p), 7)) for k, p in zip(kernel, padding, strict=True)
    ]
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    x = torch.randn(n, channels, *sides, dtype=torch.float64, generator=generator)
    weight = torch.randn(outputs, channels, *kernel, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, weight, padding=padding)
    error = torch.randn(y.shape, dtype=torch.float64, generator=generator)
    found = shifted_products.weight_gradient(x, error, weight, padding)
    for number in range(n):
        own = F.conv2d(x[number : number + 1], weight, padding=padding)
        (expected,) = torch.autograd.grad(own, weight, error[number : number + 1])
        torch.testing.assert_close(found[number], expected.flatten(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [{"stride": (2, 2)}, {"dilation": (2, 2)}, {"groups": 2}])
def test_they_are_for_dense_kernels_that_move_by_one(case: dict[str, Any]) -> None:
    ordinary: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    x, weight = torch.empty(1, 2, 4, 4, device="meta"), torch.empty(2, 2, 3, 3)
    assert shifted_products.worthwhile(x, weight, **ordinary)
    assert not shifted_products.worthwhile(x, weight, **{**ordinary, **case})
    assert not shifted_products.worthwhile(x, torch.empty(2, 2, 1, 1), **ordinary)
    assert not shifted_products.worthwhile(torch.empty(1, 2, 4, 4), weight, **ordinary)
