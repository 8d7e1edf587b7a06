"""Convolutions keep the laws of a layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients import StackedParameters, per_sample_backward
from nas_search.gradients.ways import way_of
from nas_search.layers.sample_gradient import DenseGradient, FactoredGradient, SampleGradient
from nas_search.testing.gradients import MatrixSink, gradients_by_loop
from nas_search.testing.layers import LayerCase, LayerConformance


class TestConv2d(LayerConformance):
    rule = "conv2d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Conv2d(3, 4, 3, padding=1), (3, 4, 5), macs=4 * 20 * 27),
            LayerCase(nn.Conv2d(3, 4, 1, bias=False), (3, 4, 5), macs=4 * 20 * 3),
            LayerCase(nn.Conv2d(2, 4, 1, stride=2), (2, 5, 4), macs=4 * 6 * 2),
            LayerCase(nn.Conv2d(4, 6, (3, 2), (2, 1), 1, 2, 2), (4, 5, 4), macs=6 * 8 * 12),
            LayerCase(nn.Conv2d(4, 4, 3, 2, 1, groups=4), (4, 5, 6), macs=4 * 9 * 9),
            LayerCase(nn.Conv2d(3, 3, 5, 1, 4, 2, groups=3), (3, 4, 5), macs=3 * 20 * 25),
            LayerCase(nn.Conv2d(3, 6, 3, padding="same", groups=3), (3, 3, 4), macs=6 * 12 * 9),
            LayerCase(nn.Conv2d(2, 3, (2, 3), padding="same"), (2, 3, 4), macs=3 * 12 * 12),
            LayerCase(nn.Conv2d(2, 3, 2, 3, padding="valid"), (2, 6, 5), macs=3 * 4 * 8),
            # One place of output: all of the input in one patch, or some, or padding as well.
            LayerCase(nn.Conv2d(2, 3, (3, 2)), (2, 3, 2), macs=3 * 12),
            LayerCase(nn.Conv2d(2, 3, 3, 2, 1), (2, 2, 1), macs=3 * 18),
            LayerCase(nn.Conv2d(2, 3, 1, 2), (2, 2, 2), macs=3 * 2),
            LayerCase(nn.Conv2d(2, 3, 3, 1, 2, 2), (2, 1, 1), macs=3 * 18),
            LayerCase(nn.Conv2d(2, 3, 2, 1, 1, 3), (2, 2, 2), macs=3 * 8),
            LayerCase(nn.Conv2d(2, 4, 3, groups=2), (2, 3, 3), macs=4 * 9),
            # Few places and wide filters: gradients stay factored.
            LayerCase(nn.Conv2d(16, 24, 3, padding=1), (16, 2, 2), macs=24 * 4 * 144),
            LayerCase(nn.Conv2d(16, 24, (3, 2), (1, 2), 1, 2), (16, 4, 2), macs=24 * 2 * 96),
            LayerCase(nn.Conv2d(24, 32, 1, stride=2), (24, 2, 3), macs=32 * 2 * 24),
            LayerCase(nn.Conv2d(24, 32, 1, padding=1), (24, 1, 1), macs=32 * 9 * 24),
        ]


def test_gradients_of_few_places_stay_factored() -> None:
    """A wide layer's rows would take a gigabyte; its factors a thousandth of that."""
    gradients: list[SampleGradient] = []

    class Sink:
        def add(self, parameter: str, members: object, gradient: SampleGradient) -> None:
            gradients.append(gradient)

    network = nn.Sequential(nn.Conv2d(64, 96, 3, padding=1), nn.Flatten(), nn.Linear(384, 3))
    x, labels = torch.randn(8, 64, 2, 2), torch.arange(8) % 3
    per_sample_backward(network, x, labels, [Sink()])
    assert [type(gradient) for gradient in gradients] == [FactoredGradient, FactoredGradient]
    gradients.clear()
    per_sample_backward(network[:1].append(Mean()), torch.randn(8, 64, 9, 9), labels, [Sink()])
    assert [type(gradient) for gradient in gradients] == [DenseGradient]


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class TestConv1d(LayerConformance):
    rule = "conv1d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Conv1d(3, 4, 3, padding=1), (3, 7), macs=4 * 7 * 9),
            LayerCase(nn.Conv1d(3, 4, 1, bias=False), (3, 7), macs=4 * 7 * 3),
            LayerCase(nn.Conv1d(4, 6, 3, 2, 2, 2, 2), (4, 8), macs=6 * 4 * 6),
            LayerCase(nn.Conv1d(4, 4, 5, 3, 1, groups=4), (4, 9), macs=4 * 3 * 5),
            LayerCase(nn.Conv1d(2, 3, 4, padding="same", dilation=3), (2, 8), macs=3 * 8 * 8),
            LayerCase(nn.Conv1d(2, 3, 4, 4), (2, 11), macs=3 * 2 * 8),
        ]


class TestConvTranspose2d(LayerConformance):
    rule = "conv_transpose2d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.ConvTranspose2d(3, 4, 3), (3, 3, 4), macs=36 * 4 * 9),
            LayerCase(nn.ConvTranspose2d(3, 2, 1, bias=False), (3, 3, 4), macs=36 * 2),
            LayerCase(nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 3, 2), macs=12 * 3 * 4),
            LayerCase(
                nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), 1, (1, 2), groups=2),
                (4, 3, 2),
                macs=24 * 3 * 6,
            ),
            LayerCase(nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (4, 3, 3), macs=36 * 9),
            LayerCase(  # as much padding of the output as the stride, and more
                nn.ConvTranspose2d(2, 2, 3, (1, 2), 2, 2, dilation=3), (2, 3, 4), macs=24 * 2 * 9
            ),
        ]


class TestConvTranspose1d(LayerConformance):
    rule = "conv_transpose1d"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.ConvTranspose1d(3, 4, 3, 2, 1), (3, 5), macs=15 * 4 * 3),
            LayerCase(nn.ConvTranspose1d(4, 6, 4, 3, 1, 2, 2, False), (4, 5), macs=20 * 3 * 4),
            LayerCase(nn.ConvTranspose1d(2, 2, 3, 1, 3, 2, dilation=3), (2, 5), macs=10 * 2 * 3),
        ]


class Mirror(nn.Module):
    """Comes back to the size that it began with, which the last layer is told."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 3, 3, 2, 1)
        self.up = nn.ConvTranspose2d(3, 2, 3, 2, 1)
        self.head = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(torch.tanh(self.down(input=x)), output_size=x.shape[2:])
        logits: Tensor = self.head(torch.tanh(x + y).flatten(1))
        return logits


def test_layers_may_be_called_with_more_than_their_input() -> None:
    torch.manual_seed(0)
    network = Mirror().double()
    x, labels = torch.randn(4, 2, 4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    assert way_of(network, x, "sample") == "rules"
    sink = MatrixSink()
    per_sample_backward(network, x, labels, [sink], parameters="all")
    expected = gradients_by_loop(network, x, labels, "sample")
    assert sink.rows.keys() == expected.keys()
    stacked = StackedParameters(network, "all")
    with stacked.in_place("sample", x):
        found = stacked.gradients(F.cross_entropy(network(x), labels))
    means = {use.parameter: gradient[0].flatten() for use, gradient in found.items()}
    for name, rows in expected.items():
        torch.testing.assert_close(sink.rows[name], rows)
        torch.testing.assert_close(means[name], rows.mean(0))
