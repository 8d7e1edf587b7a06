"""Per-sample gradients of one backward pass equal those of one backward pass a sample."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from nas_search.core.errors import InputError
from nas_search.gradients import GramSink, Normalization, Parameters, Way, per_sample_backward
from nas_search.testing.gradients import MatrixSink, gradients_by_loop

N = 5


class Zoo(nn.Module):
    """Every kind of layer that the rules know, one after another, with a residual and a pool."""

    def __init__(self) -> None:
        super().__init__()
        c = 6
        self.stem = nn.Conv2d(3, c, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(c, affine=affine))
            for convolution, affine in (
                (nn.Conv2d(c, c, 3, padding=1, bias=False), True),
                (nn.Conv2d(c, c, 1, bias=False), False),
                (nn.Conv2d(c, c, 1, stride=2, bias=False), True),
                (nn.Conv2d(c, c, 1, padding=1, bias=True), True),
                (nn.Conv2d(c, c, 3, padding=1, groups=3, bias=False), True),
                (nn.Conv2d(c, c, 5, padding=2, groups=c, bias=False), True),
                (nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=c, bias=False), True),
                (nn.Conv2d(c, c, 5, stride=2, padding=4, dilation=2, groups=c), True),
                (nn.Conv2d(c, c, (3, 1), padding="same", groups=2), True),
            )
        )
        self.mix = nn.Conv2d(c, 2 * c, 3, stride=1, padding=1, groups=c)  # channel multiplier 2
        self.token = nn.Linear(2 * c, 7)  # applied at every position
        self.flat = nn.Sequential(nn.Flatten(), nn.Linear(7 * 16, 8))
        self.head = nn.Linear(8, 4)
        self.unused = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            y = block(x)
            x = x + y if y.shape == x.shape else y
        x = torch.nn.functional.adaptive_avg_pool2d(self.mix(x), 4)
        x = self.token(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        logits: Tensor = self.head(self.flat(x))
        return logits


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(N, 3, 15, 17, generator=generator, dtype=dtype)
    return images, torch.tensor([0, 1, 2, 3, 1])


def zoo() -> Zoo:
    torch.manual_seed(0)
    network = Zoo().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return network


@pytest.mark.parametrize("parameters", ["weights", "all"])
@pytest.mark.parametrize("mode", ["sample", "frozen", "eval"])
def test_equals_the_loop(mode: Normalization, parameters: Parameters) -> None:
    network, (images, labels) = zoo(), batch()
    sink, grams = MatrixSink(), GramSink()
    per_sample_backward(
        network, images, labels, [sink, grams], normalization=mode, parameters=parameters
    )
    expected = gradients_by_loop(network, images, labels, mode)
    if parameters == "weights":
        matrices = {
            f"{name}.weight"
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear)
        }
        expected = {name: rows for name, rows in expected.items() if name in matrices}
    assert sink.rows.keys() == expected.keys() == grams.grams.keys()
    # What batch-norm undoes (a bias before it) has gradient zero but for rounding.
    rounding = 1e-14 * max(rows.norm() for rows in expected.values())
    for name, rows in expected.items():
        scale = max(rows.norm(), rounding)
        if scale == rounding:
            assert sink.rows[name].norm() <= rounding, name
            continue
        assert (sink.rows[name] - rows).norm() <= 1e-10 * scale, name
        assert (grams.grams[name] - rows @ rows.T).norm() <= 1e-10 * scale**2, name


def test_shares_of_the_batch_gradient_sum_to_it() -> None:
    network, (images, labels) = zoo(), batch()
    sink = MatrixSink()
    logits = per_sample_backward(
        network, images, labels, [sink], normalization="batch", parameters="all"
    )
    network.train()
    ordinary = network(images)
    torch.testing.assert_close(logits, ordinary)
    torch.nn.functional.cross_entropy(ordinary, labels, reduction="sum").backward()
    # A bias or scale that batch-norm undoes has gradient zero but for rounding.
    largest = max(p.grad.norm() for p in network.parameters() if p.grad is not None)
    for name, parameter in network.named_parameters():
        if parameter.grad is None:
            assert name not in sink.rows
        else:
            total = sink.rows[name].sum(0).view_as(parameter)
            assert (total - parameter.grad).norm() <= 1e-10 * largest, name


def test_logits_are_those_of_the_mode() -> None:
    network, (images, labels) = zoo(), batch()
    seen = per_sample_backward(network, images, labels, [], normalization="sample")
    network.train()
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(seen, alone)


def test_a_layer_used_twice_has_the_sum_of_its_uses() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = nn.Conv2d(3, 3, 3, padding=1)
            self.head = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.shared(torch.relu(self.shared(x)))
            self.shared(x)  # a third use, whose result nobody needs
            logits: Tensor = self.head(torch.relu(self.head.weight.new_ones(1) * x.mean((2, 3))))
            return logits

    torch.manual_seed(0)
    network, (images, labels) = Twice().double(), batch()
    sink = MatrixSink()
    per_sample_backward(network, images, labels, [sink], parameters="all")
    for name, rows in gradients_by_loop(network, images, labels, "eval").items():
        torch.testing.assert_close(sink.rows[name], rows, rtol=1e-10, atol=1e-12)


def test_the_network_is_given_back_as_it_was() -> None:
    network, (images, labels) = zoo(), batch()
    network.train()
    network.blocks[0].eval()
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    per_sample_backward(network, images, labels, [GramSink()])
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None for parameter in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name
    for module in network.modules():
        assert "forward" not in vars(module)


def test_the_network_is_given_back_after_an_error() -> None:
    network, (images, labels) = zoo(), batch()
    with pytest.raises(RuntimeError):
        per_sample_backward(network, images[:, :2], labels, [GramSink()])
    assert all("forward" not in vars(module) for module in network.modules())


@pytest.mark.parametrize("way", ["rules", "calls", "one_by_one"])
@pytest.mark.parametrize("noise", [nn.Dropout(0.5), StochasticDepth(0.5, "row")])
def test_layers_that_drop_out_are_off(noise: nn.Module, way: Way) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(noise, nn.Flatten(), nn.Linear(3 * 15 * 17, 4)).double()
    images, labels = batch()
    logits = per_sample_backward(network.train(), images, labels, [], way=way)
    torch.testing.assert_close(logits, network[2](images.flatten(1)))


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3)), {}, "map of one element"),
        (
            nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)),
            {"normalization": "eval"},
            "running statistics",
        ),
        (nn.Identity(), {"normalization": "group"}, "possible: sample, frozen, batch, eval"),
        (nn.Identity(), {"parameters": "some"}, "possible: weights, all"),
    ],
)
def test_what_cannot_be_treated_is_said(
    network: nn.Module, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        per_sample_backward(network.double(), *batch(), [], **options)
