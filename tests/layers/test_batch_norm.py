"""Batch-norm on one sample between tokens: its input or gradient is transposed in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_search.gradients import NORMALIZATIONS, Normalization, Way, per_sample_backward
from nas_search.testing.gradients import MatrixSink


class Tokens(nn.Module):
    """A convolution and batch-norm, behind tokens or ahead of them, as in vision transformers."""

    def __init__(self, ahead: bool) -> None:
        super().__init__()
        self.ahead = ahead
        self.convolution, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
        self.head = nn.Linear(5 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolution(x)
        if self.ahead:
            y = y.flatten(2).transpose(1, 2).contiguous().transpose(1, 2).unflatten(2, (4, 4))
            y = self.norm(y)
        else:
            y = self.norm(y).flatten(2).transpose(1, 2)
        logits: Tensor = self.head(y.tanh().flatten(1))
        return logits


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("way", ["rules", "one_by_one"])
@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_one_sample_beside_tokens(mode: Normalization, way: Way, ahead: bool) -> None:
    torch.manual_seed(0)
    network = Tokens(ahead).double()
    image = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    label = torch.tensor([2])
    one = MatrixSink()
    per_sample_backward(network, image, label, [one], normalization=mode, parameters="all", way=way)
    norm = network.norm
    y = network.convolution(image)
    mean, variance = y.mean((0, 2, 3)), y.var((0, 2, 3), correction=0)
    if mode == "eval":
        mean, variance = norm.running_mean, norm.running_var
    if mode == "frozen":
        mean, variance = mean.detach(), variance.detach()
    shape = (1, -1, 1, 1)
    y = (y - mean.view(shape)) / (variance.view(shape) + norm.eps).sqrt()
    y = (y * norm.weight.view(shape) + norm.bias.view(shape)).tanh().flatten(2)
    logits = network.head((y if ahead else y.transpose(1, 2)).flatten(1))
    loss = nn.functional.cross_entropy(logits, label)
    expected = torch.autograd.grad(loss, list(network.parameters()))
    for (name, _), gradient in zip(network.named_parameters(), expected, strict=True):
        torch.testing.assert_close(one.rows[name][0], gradient.flatten(), atol=1e-12, rtol=1e-10)
