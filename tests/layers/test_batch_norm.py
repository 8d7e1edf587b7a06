"""Batch-norm on one sample whose gradient comes from tokens: transposed, not contiguous."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_search.gradients import NORMALIZATIONS, per_sample_backward
from tests.gradients.test_per_sample import MatrixSink


class ToTokens(nn.Module):
    """A convolution and batch-norm whose positions become tokens, as in vision transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
        self.head = nn.Linear(5 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).flatten(2).transpose(1, 2).tanh().flatten(1))


@pytest.mark.parametrize("way", ["rules", "one_by_one"])
@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_one_sample_with_a_transposed_gradient(mode: str, way: str) -> None:
    torch.manual_seed(0)
    network = ToTokens().double()
    image = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    label = torch.tensor([2])
    one = MatrixSink()
    options = {"normalization": mode, "parameters": "all", "way": way}
    per_sample_backward(network, image, label, [one], **options)
    expected = _by_hand(network, image, label, mode)
    for name, gradient in expected.items():
        torch.testing.assert_close(one.rows[name][0], gradient.flatten(), atol=1e-12, rtol=1e-10)


def _by_hand(network: ToTokens, x: Tensor, label: Tensor, mode: str) -> dict[str, Tensor]:
    """Return the gradients with batch-norm written out."""
    convolution, norm = network.stem
    y = convolution(x)
    mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
    if mode == "eval":
        mean, variance = norm.running_mean, norm.running_var
    if mode == "frozen":
        mean, variance = mean.detach(), variance.detach()
    shape = (1, -1, 1, 1)
    y = (y - mean.view(shape)) / (variance.view(shape) + norm.eps).sqrt()
    y = y * norm.weight.view(shape) + norm.bias.view(shape)
    logits = network.head(y.flatten(2).transpose(1, 2).tanh().flatten(1))
    loss = nn.functional.cross_entropy(logits, label)
    names = dict(network.named_parameters())
    return dict(zip(names, torch.autograd.grad(loss, list(names.values())), strict=True))
