"""Networks of every making: what they do outside of the book's layers, against the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from tests.gradients.exact import assert_exact

N, CLASSES = 4, 3
Network = TypeVar("Network", bound=nn.Module)


class OwnConvolution(nn.Conv2d):
    """Standardized weights, scaled outputs."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        w = w / (w.pow(2).mean((1, 2, 3), keepdim=True).sqrt() + 1e-3)
        return 0.7 * F.conv2d(x, w, self.bias, self.stride, self.padding)


class OwnNorm(nn.BatchNorm2d):
    """Batch-norm with an activation, in place."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, 1e-3
        )
        return F.silu(y, inplace=True)


class OwnLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 0.5 + x.mean(-1, keepdim=True)


class Functional(nn.Module):
    """Batch-norm, a convolution and a product with parameters of the module's own."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(6, 3, 3, 3) / 5)
        self.gain, self.shift = nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(6))
        self.register_buffer("running_var", torch.ones(6))
        self.projection = nn.Parameter(torch.randn(6, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.kernel, stride=2)
        x = F.batch_norm(x, self.running_mean, self.running_var, self.gain, self.shift)
        return torch.relu(x).mean((2, 3)) @ self.projection


class Residual(nn.Module):
    """Activations in place behind batch-norm, additions in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norm, self.act = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        y = self.body(x)
        y += x
        logits: Tensor = self.head(F.hardtanh(y, -2, 2, inplace=True).mean((2, 3)))
        return logits


class Excited(nn.Module):
    """Squeeze and excitation, a layer scale, an activation with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.squeeze, self.excite = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.scale = nn.Parameter(0.5 * torch.randn(6, 1, 1))
        self.act, self.head = nn.PReLU(6), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        gate = self.excite(torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))).sigmoid_()
        x = x + self.scale * (x * gate)
        logits: Tensor = self.head(x.amax((2, 3)))
        return logits


class Windows(nn.Module):
    """Patches in the batch, windows, a table of relative positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4)
        self.qkv, self.table = nn.Linear(4, 12), nn.Parameter(torch.randn(7))
        self.index: Tensor
        self.register_buffer("index", torch.arange(4)[:, None] - torch.arange(4) + 3)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        x = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        x = self.norm(self.embed(x))  # 4 patches per sample, 4 positions in use
        x = x.flatten(2).transpose(1, 2)[:, :4]
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = q @ k.mT / 2 + self.table[self.index]
        x = x + scores.softmax(-1) @ v
        logits: Tensor = self.head(x.reshape(n, -1, 4).mean(1))
        return logits


class Tokens(nn.Module):
    """A vision transformer written by hand: class token, positions, scales, einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 6)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.positions = nn.Parameter(torch.randn(1, 80, 6))
        self.w = nn.Parameter(torch.randn(6, 2, 3) / 2)
        self.out = nn.Parameter(torch.randn(2, 3, 6) / 2)
        self.heads = nn.Parameter(torch.randn(2, 3, 3))
        self.scale = nn.Parameter(torch.randn(6))
        self.left = nn.Parameter(torch.randn(5, 65) / 8)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.flatten(2).transpose(1, 2))
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        x = x + self.positions[:, : x.shape[1]]
        y = torch.einsum("ntc,chd->nhtd", x, self.w)
        y = y @ self.heads  # a matrix per head
        y = torch.einsum("nhtd,hdc->ntc", torch.tanh(y), self.out)
        x = x + self.scale * y
        logits: Tensor = self.head(torch.tanh(self.left @ x).mean(1))
        return logits


class Shared(nn.Module):
    """One weight in two layers, a weight that a function uses too, a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(48, 48), nn.Linear(48, 48)
        self.second.weight = self.first.weight
        self.head = nn.Linear(48, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(x, 4).flatten(1)
        x = torch.tanh(self.first(x)) + self.second(torch.sin(x))
        x = self.first(x) @ self.first.weight
        logits: Tensor = self.head(x) + F.linear(torch.cos(x), self.head.weight)
        return logits


class UsedByAFunction(nn.Module):
    """Only layers of the book own parameters, but a function uses one of them again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.conv(x)).mean((2, 3))
        logits: Tensor = self.fc(x) + F.linear(x.square(), self.fc.weight, self.fc.bias)
        return logits


class Distilled(nn.Module):
    """A head on parameters alone, prompts that are projected, a bias made by a small network."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 4)
        self.prompts, self.project = nn.Parameter(torch.randn(5, 4)), nn.Linear(4, 4)
        self.query = nn.Parameter(torch.randn(1, 2, 4))
        self.q = nn.Linear(4, 4)
        self.register_buffer("grid", torch.randn(69, 2))
        self.biases = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        x = self.embed(x.flatten(2).transpose(1, 2))
        prompts = torch.tanh(self.project(self.prompts))
        x = torch.cat([x, prompts.expand(n, -1, -1)], 1)
        q = self.q(self.query.expand(n, -1, -1))
        scores = q @ x.mT / 2 + self.biases(self.grid).mT
        pooled = F.scaled_dot_product_attention(q, x, x, attn_mask=scores)
        logits: Tensor = self.head(pooled.mean(1))
        return logits


class Dynamic(nn.Module):
    """Weights that depend on the sample, in grouped convolutions; gates of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.route = nn.Linear(3, 2)
        self.experts = nn.Parameter(torch.randn(2, 4 * 3 * 3 * 3) / 5)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        gates = torch.sigmoid(self.route(x.mean((2, 3))))
        kernels = (gates @ self.experts).view(n * 4, 3, 3, 3)
        y = F.conv2d(x.reshape(1, -1, *x.shape[2:]), kernels, groups=n)
        logits: Tensor = self.head(torch.relu(y.view(n, 4, *y.shape[2:])).mean((2, 3)))
        return logits


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Tensor:
        x: Tensor
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return error * s * (1 + x * (1 - s))


class OwnBackward(nn.Module):
    """Functions with a backward of their own, ahead of parameters that stand alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), nn.Parameter(torch.randn(4, 1, 1))
        self.w = nn.Parameter(torch.randn(4, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = Swish.apply(self.conv(x)) * self.scale
        logits: Tensor = Swish.apply(x).mean((2, 3)) @ self.w
        return logits


class Convolved(nn.Module):
    """Padding that the layer does itself, layers of other dimensions, transposed, grouped norms."""

    def __init__(self) -> None:
        super().__init__()
        self.reflect = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        self.up, self.group = nn.ConvTranspose2d(4, 4, 2), nn.GroupNorm(2, 4)
        self.row, self.norm = nn.Conv1d(4, 4, 3), nn.LayerNorm(4)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.group(self.up(torch.tanh(self.reflect(x))))
        x = torch.tanh(self.row(x.mean(2))).mean(2)
        logits: Tensor = self.head(self.norm(x))
        return logits


def weight_normed() -> nn.Module:
    conv = parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    inner = parametrizations.spectral_norm(nn.Linear(4, 5)).eval()
    rotation = parametrizations.orthogonal(nn.Linear(5, 5))
    return nn.Sequential(
        conv,
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        inner,
        rotation,
        nn.Linear(5, CLASSES),
    )


def pruned() -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, CLASSES),
    )  # fmt: skip
    prune.random_unstructured(network[0], "weight", 0.4)
    prune.random_unstructured(network[5], "weight", 0.3)
    return network


def frozen() -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES),
    )  # fmt: skip
    network[0].requires_grad_(False)
    network[1].bias.requires_grad_(False)
    network[6].requires_grad_(False)
    return network


def hooked() -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, CLASSES),
    )  # fmt: skip
    network[0].register_forward_hook(lambda module, inputs, output: 2 * output.sin())
    network[5].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    return network


def subclasses() -> nn.Module:
    return nn.Sequential(
        OwnConvolution(3, 5, 3, stride=2), OwnNorm(5), nn.Conv2d(5, 4, 1), nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), OwnLinear(4, CLASSES),
    )  # fmt: skip


def several_calls() -> nn.Module:
    norm, conv = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)
    return nn.Sequential(
        norm, conv, nn.ReLU(inplace=True), norm, conv, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, CLASSES),
    )  # fmt: skip


MATRICES = {
    subclasses: {"0.weight", "2.weight", "6.weight"},
    Functional: {"kernel", "projection"},
    Residual: {"stem.weight", "body.0.weight", "head.weight"},
    Excited: {"stem.weight", "squeeze.weight", "excite.weight", "head.weight"},
    Windows: {"embed.weight", "qkv.weight", "head.weight"},
    Tokens: {"embed.weight", "w", "out", "heads", "left", "head.weight"},
    Shared: {"first.weight", "head.weight"},
    UsedByAFunction: {"conv.weight", "fc.weight"},
    Dynamic: {"route.weight", "experts", "head.weight"},
    OwnBackward: {"conv.weight", "w"},
    Convolved: {"reflect.weight", "up.weight", "row.weight", "head.weight"},
    pruned: {"0.weight_orig", "5.weight_orig"},
    frozen: {"2.weight"},
    hooked: {"0.weight", "5.weight"},
    several_calls: {"1.weight", "8.weight"},
    Distilled: None,
    weight_normed: {
        "0.parametrizations.weight.original1",
        "4.parametrizations.weight.original",
        "5.parametrizations.weight.original",
        "6.weight",
    },
}
"""How networks are made, and which of their parameters inputs are multiplied with."""


def batch(n: int = N) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(n) % CLASSES


def made(make: Callable[[], Network]) -> Network:
    torch.manual_seed(0)
    network = make().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return network


@pytest.mark.parametrize("mode", ["sample", "frozen", "eval"])
@pytest.mark.parametrize("make", MATRICES, ids=lambda make: make.__name__)
def test_any_network_is_exact(make: Callable[[], nn.Module], mode: str) -> None:
    way = assert_exact(made(make).train(), *batch(), mode, weights=MATRICES[make])
    assert way == ("calls" if make in (UsedByAFunction, Shared) else "rules")


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("make", [Windows, Tokens, Distilled, Dynamic, subclasses])
def test_any_number_of_samples(make: Callable[[], nn.Module], n: int) -> None:
    assert_exact(made(make), *batch(n))


def test_the_gradient_that_is_there_stays() -> None:
    network = made(Convolved)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert_exact(network, *batch())


def test_samples_that_are_tokens() -> None:
    """An embedding that is also the classifier's weight counts with both uses."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.fc = nn.Embedding(9, 5), nn.Linear(5, 9, bias=False)
            self.fc.weight = self.embedding.weight
            self.positions = nn.Embedding(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            places = torch.arange(x.shape[1])
            logits: Tensor = self.fc(torch.tanh(self.embedding(x) + self.positions(places)))
            return logits

    tokens = torch.randint(0, 9, (N, 6), generator=torch.Generator().manual_seed(0))

    def of_sequences(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1)

    assert_exact(made(Tied), tokens, tokens.roll(-1, 1), "eval", of_sequences, {"embedding.weight"})


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(kind: type[nn.LSTM | nn.GRU | nn.RNN]) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(24, 5, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.head(self.layer(x.transpose(1, 2).flatten(2))[0][:, -1])
            return logits

    network = made(Recurrent)
    weights = {name for name, p in network.named_parameters() if p.dim() == 2}
    assert_exact(network, *batch(), weights=weights)


def test_losses_of_ones_own() -> None:
    targets = torch.randn(N, CLASSES, dtype=torch.float64)

    def squares(values: Tensor, wanted: Tensor) -> Tensor:
        return (values - wanted).square().sum(1)

    assert_exact(made(Excited), batch()[0], targets, "eval", squares)
    assert_exact(made(Excited), batch()[0], targets, "eval", lambda y, t: squares(y, t).sum())
