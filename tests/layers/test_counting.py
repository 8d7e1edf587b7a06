"""What networks cost is counted by the functions that they call, whatever module calls them."""

from __future__ import annotations

import warnings
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search import score
from nas_search.gradients.counting import count_network


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(4, 3, 3, 3))
        self.fixed = nn.Parameter(torch.ones(4, 4), requires_grad=False)
        self.norm = nn.BatchNorm2d(4)
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = F.linear(self.kernel.permute(1, 2, 3, 0), self.fixed).permute(3, 0, 1, 2)
        y = F.relu(self.norm(F.conv2d(x, kernel, padding=1)))
        logits: Tensor = self.head(self.head(y.mean((2, 3))).repeat(1, 2))
        return logits + self.unused(logits) if self.training else logits


def test_calls_on_samples_count_wherever_they_are_made() -> None:
    network, x = Own().eval(), torch.randn(3, 3, 5, 6)
    maps = 3 * 4 * 30
    for own, samples in ((network, x), (deepcopy(network).to("meta"), x.to("meta"))):
        count = count_network(own, samples)
        assert count.params == 108 + 8 + 6 + 8  # what is never used counts, what is fixed does not
        assert count.macs == maps * 27 + 2 * 3 * 8  # a layer that is used twice counts twice
        assert count.saved == x.numel() + 2 * maps + 2 * 3 * 4


def test_counting_leaves_the_network_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_network(network, torch.randn(2, 3, 4, 4))
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Unknown(nn.Module):
    """Multiplies in ways that no layer of the book counts, by weights and by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(4, 4, batch_first=True)
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.memory(x)[0] @ (self.weight @ self.weight)
        y = torch.einsum("nij,nkj->nik", y, y) @ x + torch.bmm(y @ y.mT, x)
        logits: Tensor = self.head(y.mean(1))
        return logits


def test_functions_that_multiply_uncounted_are_named() -> None:
    x = torch.randn(2, 3, 4)
    for network, samples in ((Unknown(), x), (Unknown().to("meta"), x.to("meta"))):
        count = count_network(network.eval(), samples)
        assert count.uncounted == ("einsum", "lstm")
        products = 3 * 4 * 4 + 3 * 3 * 4 + 2 * 3 * 4 * 3  # by the weight, y @ y.mT, the two by x
        assert count.macs == 2 * (products + 4 * 2)
    assert count_network(Own().eval(), torch.randn(3, 3, 5, 6)).uncounted == ()


def test_a_score_that_lacks_multiplications_says_so() -> None:
    x, labels = torch.randn(4, 3, 4), torch.tensor([0, 1, 0, 1])
    with pytest.warns(UserWarning, match="MACs do not count what einsum, lstm multiplies"):
        score(Unknown(), x, labels, ["flops"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(Unknown(), x, labels, ["params"])
