"""Networks in float64 and gradients by ordinary autograd, for naive implementations of formulas."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.passes import Facts, pass_of
from nas_search.proxies import PROXIES
from nas_search.scoring import Measuring, initialize, measure
from nas_search.spaces.nasbench201 import Nasbench201Space

SPACE = Nasbench201Space()
CELLS = [
    SPACE.parse(text)
    for text in (
        "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
        "|nor_conv_1x1~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
        "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_1x1~2|",
    )
]
N, CLASSES, SIDE = 6, 3, 8


def build(number: int = 0, scheme: Any = "default", channels: int = 4) -> nn.Module:
    """Return the float64 network of cell ``number``, in train mode."""
    network = SPACE.build(CELLS[number], (3, SIDE, SIDE), CLASSES, cells=1, channels=channels)
    return initialize(network, 0, scheme).double().train()


def narrow(number: int = 0) -> nn.Module:
    """Return cell ``number`` one channel wide, for images (1, 5, 5), in float64."""
    network = SPACE.build(CELLS[number], (1, 5, 5), CLASSES, cells=1, channels=1)
    return initialize(network, 0, "kaiming_normal").double().train()


def batch(n: int = N) -> tuple[Tensor, Tensor]:
    """Return ``n`` random float64 images and their labels."""
    images = torch.randn(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return images.double(), torch.arange(n) % CLASSES


def score(name: str, number: int = 0, n: int = N, seed: int = 0, **how: Any) -> float:
    """Return the package's score of cell ``number`` on :func:`batch`."""
    record = PROXIES.get(name)
    forms = {pass_of(kind).network for kind in record.needs}
    network = narrow(number) if forms == {"narrow"} else build(number, record.init)
    measuring = Measuring(**{"normalization": record.normalization or "batch", "seed": seed, **how})
    facts = Facts(*((1, 2) if number < 0 else (10, 20)), "key")
    return record.score(measure(network, *batch(n), measuring, record.needs, facts))


def layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the convolutions and linear layers."""
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def weights_and_gradients(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return the weights of convolutions and linear layers that received gradient, each with it."""
    weights = [layer.weight for layer in layers(network)]
    return [(weight, weight.grad) for weight in weights if weight.grad is not None]


def backward(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Fill ``.grad`` with the gradient of the mean loss in train mode."""
    network.train().zero_grad()
    F.cross_entropy(network(images), labels).backward()
