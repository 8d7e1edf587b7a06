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

from nas_search.gradients.calls import FunctionCalls
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
}


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
