"""Average pooling by convolution is the library's but for the last digit, forward and backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_search.gradients import NormSink, per_sample_backward
from nas_search.layers import pooling
from nas_search.layers.recorder import Recorder
from nas_search.stacked.candidates import Candidates
from nas_search.testing.layers import LayerCase, LayerConformance


class TestAvgPool2d(LayerConformance):
    rule = "avg_pool2d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.AvgPool2d(3, 1, 1, count_include_pad=False), (2, 4, 5)),
            LayerCase(nn.AvgPool2d(2), (2, 4, 5)),
            LayerCase(nn.AvgPool2d((3, 2), (2, 1), (1, 0)), (2, 4, 5)),
            LayerCase(nn.AvgPool2d(2, ceil_mode=True), (2, 3, 5)),
            LayerCase(nn.AvgPool2d(2, divisor_override=3), (2, 4, 4)),
        ]


def average_pool(module: nn.AvgPool2d, x: Tensor) -> Tensor:
    recorder = Recorder([], {}, len(x), Candidates(1))
    result: Tensor = pooling.per_sample(recorder, x, **pooling.arguments(module))
    return result


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (5, 6)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "padded_count"),
    [(3, 1, 1, False), (3, 2, 1, False), (2, 2, 0, True), ((3, 2), (2, 1), (1, 0), True)],
)
def test_values_and_gradients_are_the_librarys(
    size: tuple[int, int], kernel: Any, stride: Any, padding: Any, padded_count: bool
) -> None:
    module = nn.AvgPool2d(kernel, stride, padding, count_include_pad=padded_count)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, *size, generator=generator).requires_grad_()
    expected, found = module(x), average_pool(module, x)
    assert "AveragePool" in type(found.grad_fn).__name__
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    error = torch.randn(expected.shape, generator=generator)
    gradients = [torch.autograd.grad(y, x, error)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "module",
    [nn.AvgPool2d(2, ceil_mode=True), nn.AvgPool2d(2, divisor_override=3)],
    ids=["ceil", "divisor"],
)
def test_what_it_does_not_know_is_left_to_the_library(module: nn.AvgPool2d) -> None:
    x = torch.randn(2, 3, 5, 5, requires_grad=True)
    found = average_pool(module, x)
    assert torch.equal(found, module(x))
    assert "AveragePool" not in type(found.grad_fn).__name__


def test_a_users_own_kind_of_pooling_stays_its_own() -> None:
    class Zero(nn.AvgPool2d):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * super().forward(x)

    layers = nn.Conv2d(3, 4, 3), Zero(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    sink = NormSink()
    images, labels = torch.randn(2, 3, 8, 8), torch.tensor([0, 1])
    per_sample_backward(nn.Sequential(*layers), images, labels, [sink], normalization="frozen")
    assert sink.squares.on_host(1) == [{"4.weight": 0.0, "0.weight": 0.0}]
