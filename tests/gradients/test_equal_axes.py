"""Where the samples lie is known, though other axes are as long as there are samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_search.gradients import NormSink, per_sample_backward
from nas_search.gradients.calls import FunctionCalls
from nas_search.gradients.counting import count_network
from nas_search.layers.dependence import samples_axis
from tests.gradients.exact import assert_exact

WIDTH = 5


class Heads(nn.Module):
    """Attention whose heads are normalized, and know distances by vectors of their own."""

    def __init__(self, tokens: int, heads: int, tokens_first: bool) -> None:
        super().__init__()
        self.heads, self.tokens_first = heads, tokens_first
        self.qkv = nn.Linear(3, 3 * heads * WIDTH)
        self.normalized = nn.LayerNorm(WIDTH)
        self.distances = nn.Parameter(torch.randn(tokens, WIDTH))
        self.fc = nn.Linear(heads * WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        if self.tokens_first:
            parts = self.qkv(x.transpose(0, 1)).unflatten(-1, (3, self.heads, WIDTH))
            q, k, v = parts.permute(2, 1, 3, 0, 4).unbind()
        else:
            parts = self.qkv(x).reshape(n, tokens, 3, self.heads, WIDTH)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
        products = self.normalized(q) @ k.mT + F.linear(q, self.distances)
        y = products.softmax(-1) @ v
        logits: Tensor = self.fc(y.transpose(1, 2).flatten(2).tanh().mean(1))
        return logits


@pytest.mark.parametrize("tokens_first", [False, True])
@settings(max_examples=12, deadline=None)
@given(n=st.integers(1, 4), tokens=st.integers(1, 4), heads=st.integers(1, 4))
def test_heads_and_tokens_as_many_as_samples(
    tokens_first: bool, n: int, tokens: int, heads: int
) -> None:
    torch.manual_seed(0)
    network = Heads(tokens, heads, tokens_first).double()
    images = torch.randn(n, tokens, 3, dtype=torch.float64)
    assert assert_exact(network, images, torch.arange(n) % 4) == "rules"


N = 3
CALLS: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "unbind": (lambda x: x.transpose(0, 1).unbind()[1], 0),
    "unpacked": (lambda x: next(iter(x.transpose(0, 1))), 0),
    "index": (lambda x: x.transpose(0, 1)[1], 0),
    "index of the other": (lambda x: x.transpose(0, 1)[:, :, 1], 1),
    "mean": (lambda x: x.permute(1, 2, 0, 3).mean(1), 1),
    "sum": (lambda x: x.permute(1, 2, 0, 3).sum((0, 3)), 1),
    "largest": (lambda x: x.permute(1, 2, 0, 3).max(0).values, 1),
    "stack": (lambda x: torch.stack([x[:, 0], x[:, 1]]), 1),
    "stack of as many": (lambda x: torch.stack([x[:, 0]] * N), 1),
    "unsqueeze": (lambda x: x[:, 0].unsqueeze(0), 1),
    "none": (lambda x: x[:, 0][None], 1),
    "flatten": (lambda x: x.permute(1, 2, 0, 3).flatten(0, 1), 1),
    "reshape": (lambda x: x.permute(1, 2, 0, 3).reshape(2 * N, N, 2, 2), 1),
    "expand": (lambda x: x[:, 0].expand(N, -1, -1, -1), 1),
    "product": (lambda x: x.permute(1, 2, 0, 3) @ torch.ones(4, N), 2),
    "einsum": (lambda x: torch.einsum("npcd,ce->pned", x, torch.ones(N, N)), 1),
    "broadcast": (lambda x: x[:, 0, 0] * torch.ones(N, 1, 4), 1),
    "chunk": (lambda x: x.permute(1, 2, 0, 3).chunk(2, dim=-1)[1], 2),
    "einsum that moves": (lambda x: torch.einsum("npcd->cpnd", x), 2),
    "tensordot": (lambda x: torch.tensordot(torch.ones(N, 2), x, ([1], [1])), 1),
    "expand to sizes": (lambda x: x[:, 0].expand(N, N, -1, -1), 1),
    "repeat": (lambda x: x[:, 0].repeat(N, 1, 1, 1), 1),
    "rotate": (lambda x: torch.rot90(x, 1, (0, 2)), 2),
    "indices apart": (lambda x: x[:, [[0, 1], [1, 0], [1, 1]], :, [0, 3]], 2),
    "slice of as many": (lambda x: x.permute(2, 0, 1, 3)[:, :N, 1:], 1),
    "transpose in place": (lambda x: x.clone().transpose_(0, 2), 2),
    "unsqueeze in place": (lambda x: x[:, 0].clone().unsqueeze_(0), 1),
    "set in a constant": (lambda x: _set(torch.zeros(N, N, 4), x[:, 0, 0]), 1),
    "set in a new tensor": (lambda x: _set(x.new_zeros(N, N, 4), x[:, 0, 0]), 1),
    "stack with a constant": (lambda x: torch.stack([torch.zeros(N, 4), *x[:, :, 0].unbind(1)]), 1),
    "state": (lambda x: nn.LSTM(4, 5, N, batch_first=True)(x[:, 0])[1][0], 1),
    "heads of a sample": (lambda x: x.permute(2, 0, 1, 3).reshape(N, 2 * N, 4), 1),
    "weights of attention": (lambda x: _attention_weights(x[:, 0].transpose(0, 1)), 0),
}


def _set(y: Tensor, x: Tensor) -> Tensor:
    y[1] = x
    return y


def _attention_weights(x: Tensor) -> Tensor:
    weights: Tensor = nn.MultiheadAttention(4, 2)(x, x, x)[1]
    return weights


@pytest.mark.parametrize("name", CALLS)
def test_the_axis_of_the_samples_is_followed(name: str) -> None:
    call, axis = CALLS[name]
    seen: list[int] = []

    class Looking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = call(x)
            with torch._C.DisableTorchFunction():
                seen.append(samples_axis(y))
            return x

    network = Looking()
    with FunctionCalls(network, {}):
        network(torch.zeros(N, 2, N, 4))
    assert seen == [axis]


class States(nn.Module):
    """Normalizes the states of a recurrence, which are stacked tokens first."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.read, self.kept, self.fc = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.normalized = nn.LayerNorm(4)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        states = [torch.zeros(len(x), 4, dtype=x.dtype)]
        for token in x.unbind(1)[1:]:
            states.append(torch.tanh(self.read(token) + self.kept(states[-1])))
        y: Tensor = self.fc(self.normalized(torch.stack(states)).tanh().mean(0)) * self.scale
        return y


def test_what_the_check_tells_apart_may_be_alike_in_the_batch() -> None:
    torch.manual_seed(0)
    network = States(tokens=5).double()
    for n in (3, 5, 6):
        images = torch.randn(n, 5, 3, dtype=torch.float64)
        assert assert_exact(network, images, torch.arange(n) % 4) == "rules"


class FoldedHeads(nn.Module):
    """Attention as fairseq writes it: tokens first, and heads folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.fc = nn.Linear(4, 12), nn.Linear(4, 4)
        self.distances = nn.Parameter(torch.randn(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        parts = self.qkv(x.transpose(0, 1)).view(tokens, 2 * n, 6).transpose(0, 1)
        q, k, v = parts.chunk(3, -1)
        y = torch.bmm((torch.bmm(q, k.mT) + self.distances).softmax(-1), v)
        logits: Tensor = self.fc(y.transpose(0, 1).reshape(tokens, n, 4).tanh().mean(0))
        return logits


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_heads_folded_behind_the_samples(n: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(n, 5, 4, dtype=torch.float64)
    assert assert_exact(FoldedHeads().double(), images, torch.arange(n) % 4) == "rules"


class Dead(nn.Module):
    """A branch that sees zeros, made for the samples, whose normalization still adds its shift."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dead = nn.Conv2d(3, 5, 1), nn.Conv2d(2, 5, 1)
        self.norm, self.fc = nn.GroupNorm(1, 5), nn.Linear(5, 4)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        zeros = x.new_zeros(len(x), 2, 4, 4)
        y = self.conv(x) + self.norm(self.dead(zeros))
        logits: Tensor = self.fc(y.tanh().mean((2, 3))) * self.scale
        return logits


@pytest.mark.parametrize("n", [1, 3, 5, 7])
def test_zeros_that_are_made_for_the_samples_are_theirs(n: int) -> None:
    torch.manual_seed(0)
    network = Dead().double()
    images = torch.randn(n, 3, 4, 4, dtype=torch.float64)
    assert assert_exact(network, images, torch.arange(n) % 4) == "rules"
    assert count_network(network, images[:1]).macs == 16 * 15 + 16 * 10 + 20


def test_zeros_of_several_axes_as_long_as_the_samples_take_a_pass_per_sample() -> None:
    torch.manual_seed(0)
    network = Dead().double()
    images = torch.randn(4, 3, 4, 4, dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"of its axes of length 4 .* one backward pass per"):
        per_sample_backward(network, images, torch.arange(4), [NormSink()], normalization="eval")
    assert_exact(network, images, torch.arange(4))


class Masked(nn.Module):
    """Takes tokens by a mask: how many it takes cannot be seen without its values."""

    def __init__(self) -> None:
        super().__init__()
        self.normalized, self.fc = nn.LayerNorm(4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(0, 1)[torch.arange(x.shape[1]) < 5]
        logits: Tensor = self.fc(self.normalized(y).tanh().mean(0)) * self.scale
        return logits


def test_what_cannot_be_told_apart_takes_a_pass_per_sample() -> None:
    torch.manual_seed(0)
    network = Masked().double()
    for n in (4, 5):
        images = torch.randn(n, 6, 4, dtype=torch.float64)
        assert assert_exact(network, images, torch.arange(n) % 4) == "rules"
    sinks = [NormSink()]
    other = Masked().double()
    with pytest.warns(UserWarning, match=r"of its axes of length 5 .* one backward pass per"):
        per_sample_backward(other, images, torch.arange(5) % 4, sinks, normalization="eval")
