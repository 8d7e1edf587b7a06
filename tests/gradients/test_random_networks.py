"""Random small networks of all kinds of layers, against the loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.gradients.exact import assert_exact
from tests.gradients.test_any_network import OwnConvolution, OwnNorm, made

C, CLASSES = 4, 3


class Act(nn.Module):
    """One function, as a module without parameters."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class OnTokens(nn.Module):
    """Positions as tokens for a layer in the middle."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.layer = make()

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        y: Tensor = self.layer(tokens)
        return y.transpose(1, 2).reshape(x.shape)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(C, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x, x, x, need_weights=False)[0]
        return y


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.randn(C, 1, 1)), nn.Parameter(torch.randn(1))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale).add_(self.shift)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(C, C) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,cd->ndhw", x, self.w)


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: nn.Conv2d(C, C, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(C, C, 3, padding=1, groups=C, bias=False),
    "dilated": lambda: nn.Conv2d(C, C, 3, padding="same", dilation=2, groups=2),
    "reflecting": lambda: nn.Conv2d(C, C, 3, padding=1, padding_mode="reflect"),
    "own_convolution": lambda: OwnConvolution(C, C, 1),
    "batch_norm": lambda: nn.BatchNorm2d(C),
    "batch_norm_without": lambda: nn.BatchNorm2d(C, affine=False),
    "own_norm": lambda: OwnNorm(C),
    "group_norm": lambda: nn.GroupNorm(2, C),
    "layer_norm": lambda: OnTokens(lambda: nn.LayerNorm(C)),
    "linear": lambda: OnTokens(lambda: nn.Linear(C, C)),
    "tokens": lambda: OnTokens(lambda: nn.TransformerEncoderLayer(C, 2, 6, batch_first=True)),
    "attention": lambda: OnTokens(Attention),
    "pool": lambda: nn.AvgPool2d(3, 1, 1),
    "relu": lambda: nn.ReLU(inplace=True),
    "gelu": nn.GELU,
    "prelu": lambda: nn.PReLU(C),
    "functional": lambda: Act(F.silu),
    "scale": Scale,
    "mixed": Mixed,
}


class Network(nn.Module):
    """Blocks in a row; some run twice, some have a residual."""

    def __init__(self, blocks: list[tuple[str, bool, bool]]) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, C, 2), nn.Linear(C, CLASSES)
        self.blocks = nn.ModuleList(BLOCKS[name]() for name, _, _ in blocks)
        self.plan = [(residual, twice) for _, residual, twice in blocks]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block, (residual, twice) in zip(self.blocks, self.plan, strict=True):
            y = block(x.clone())
            y = block(torch.tanh(y).clone()) if twice else y
            x = x + y if residual else y
        logits: Tensor = self.head(torch.tanh(x).mean((2, 3)))
        return logits


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(BLOCKS)), st.booleans(), st.booleans()), max_size=5),
    st.sampled_from(["sample", "frozen", "eval"]),
    st.integers(1, 6),
)
def test_random_networks_are_exact(
    blocks: list[tuple[str, bool, bool]], mode: str, samples: int
) -> None:
    network = made(lambda: Network(blocks))
    images = torch.randn(samples, 3, 6, 6, dtype=torch.float64)
    assert assert_exact(network, images, torch.arange(samples) % CLASSES, mode) == "rules"
