"""Measurements: dead networks, precision, and scores equal to one backward pass a sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.passes.per_sample import Grams, LayerFactors
from nas_search.passes.structure import Depth
from nas_search.proxies import PROXIES
from nas_search.proxies.gradalign import DEPENDENT, EPS
from nas_search.scoring import DeadNetwork, Measuring, measure
from nas_search.spaces.nasbench201 import Nasbench201Space
from nas_search.testing.gradients import gradients_by_loop
from tests.gradients.naive import factors
from tests.scoring.problem import full_darts, task

KINDS = (Grams, LayerFactors, Depth)
SPACES: dict[str, Any] = {"darts": full_darts(), "nasbench201": Nasbench201Space()}


def sampled(name: str, count: int, seed: int = 0) -> list[Any]:
    """Return ``count`` genotypes whose networks use the image."""
    space, rng = SPACES[name], np.random.default_rng(seed)
    found: list[Any] = []
    while len(found) < count:
        genotype = space.sample(rng)
        if space.canonical(genotype) != "dead":
            found.append(genotype)
    return found


def has_gradient(network: nn.Module, images: Tensor, labels: Tensor, mode: str) -> bool:
    """Say by double precision whether the loss depends on the weights at all.

    With per-sample statistics, global pooling of maps that batch-norm has just centered is zero for
    every image: DARTS cells without pooling as the last cell.
    """
    rows = weight_gradients(network.double(), images.double(), labels, mode)
    return bool(max(r.norm().item() for r in rows) > 1e-10)


def weight_gradients(network: nn.Module, images: Tensor, labels: Tensor, mode: str) -> list[Tensor]:
    """Return the (n, P_l) gradients of the weights of convolutions and linear layers."""
    names = {
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    return [
        r for name, r in gradients_by_loop(network, images, labels, mode).items() if name in names
    ]


def naive_scores(
    network: nn.Module, images: Tensor, labels: Tensor, mode: str, depth: int
) -> dict[str, float]:
    """Return all scores from the samples' whole gradients, held as (n, P_l) matrices."""
    rows = weight_gradients(network, images, labels, mode)
    largest = max(r.norm() for r in rows)
    rows = [r for r in rows if r.norm() > 1e-14 * largest]  # not what batch-norm undoes

    def cosines(r: Tensor) -> Tensor:
        units: Tensor = r / r.norm(dim=1, keepdim=True)
        return units @ units.T

    def mean_cosine(k: Tensor) -> float:
        n = len(k)
        return float(np.mean([k[i, j].item() for i in range(n) for j in range(n) if i != j]))

    def log_det(k: Tensor) -> float:
        return sum(math.log(v + EPS) for v in torch.linalg.eigvalsh(k).tolist())

    whole, layers = cosines(torch.cat(rows, 1)), [cosines(r) for r in rows]
    return {
        "gradalign": naive_gradalign(network, images, labels, mode, largest) * depth**0.25,
        "gradalign_i": mean_cosine(whole),
        "gradalign_ii": log_det(whole),
        "gradalign_i_layerwise": float(np.mean([mean_cosine(k) for k in layers])),
        "gradalign_ii_layerwise": float(np.mean([log_det(k) for k in layers])),
    }


def naive_gradalign(
    network: nn.Module, images: Tensor, labels: Tensor, mode: str, largest: Tensor
) -> float:
    """Return sum_l sqrt(P_l q(A_l) q(E_l) sqrt(c_l)) from one backward pass a sample."""
    total = 0.0
    for layer in factors(network, images, labels, mode).values():
        if layer.gradients.norm() <= 1e-14 * largest:
            continue
        quartiles = []
        for rows in (layer.inputs, layer.errors):
            units = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-300)
            values = np.zeros(len(units))  # eigenvalues of the cosines: squared singular values
            values[: min(units.shape)] = np.linalg.svd(units, compute_uv=False) ** 2
            quartiles.append(max(0.0, float(np.quantile(values, 0.25)) - DEPENDENT))
        units = layer.gradients / layer.gradients.norm(dim=1, keepdim=True).clamp_min(1e-300)
        n = len(labels)
        apart = [(i, j) for i in range(n) for j in range(n) if labels[i] != labels[j]]
        contrast = max(0.0, -float(np.mean([(units[i] @ units[j]).item() for i, j in apart])))
        size = layer.gradients.shape[1]
        total += math.sqrt(size * quartiles[0] * quartiles[1] * math.sqrt(contrast))
    return total


@pytest.mark.parametrize("mode", ["sample", pytest.param("frozen", marks=pytest.mark.slow), "eval"])
@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_scores_equal_one_backward_pass_a_sample(space: str, mode: str) -> None:
    problem = task(SPACES[space])
    images, labels = problem.images.double(), problem.labels
    genotypes = sampled(space, 10)
    alive = 0
    for genotype in genotypes:
        network = problem.build(genotype).double()
        if not has_gradient(network, images, labels, mode):
            with pytest.raises(DeadNetwork):
                measure(network, images, labels, Measuring(mode))  # type: ignore[arg-type]
            continue
        alive += 1
        seen = measure(network, images, labels, Measuring(mode), KINDS)  # type: ignore[arg-type]
        depth = seen[Depth].layers  # counted by hand in tests/proxies/test_counts.py
        for name, value in naive_scores(network, images, labels, mode, depth).items():
            # The ridge amplifies rounding in K (1e-15) where K is singular: log(1e-6 + 1e-15).
            assert PROXIES.get(name).score(seen) == pytest.approx(value, rel=1e-10, abs=1e-10), (
                name,
                str(genotype),
            )
    assert alive >= 5
    nasbench201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    operations = full_darts().operations if space == "darts" else nasbench201
    assert all(any(op in str(g) for g in genotypes) for op in operations)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_single_precision_scores_are_the_double_precision_ones(space: str) -> None:
    problem = task(SPACES[space])
    for genotype in sampled(space, 6):
        network = problem.build(genotype)
        if not has_gradient(problem.build(genotype), problem.images, problem.labels, "sample"):
            with pytest.raises(DeadNetwork):
                measure(network, problem.images, problem.labels)
            continue
        single = measure(network, problem.images, problem.labels, kinds=KINDS)
        images = problem.images.double()
        double = measure(network.double(), images, problem.labels, kinds=KINDS)
        assert single.grams.dtype == torch.float64
        assert single.layers == double.layers
        for name in ("gradalign", "gradalign_i", "gradalign_i_layerwise", "gradalign_ii"):
            score = PROXIES.get(name).score
            assert score(single) == pytest.approx(score(double), rel=1e-3, abs=1e-4), name


class Small(nn.Module):
    """A convolution with bias, batch-norm, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))
        return logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_batch_norm_undoes_is_no_layer(dtype: torch.dtype) -> None:
    problem = task()
    seen = measure(
        Small().to(dtype), problem.images.to(dtype), problem.labels, Measuring(parameters="all")
    )
    assert seen.layers == ("conv.weight", "norm.weight", "norm.bias", "head.weight", "head.bias")
    assert seen.grams.shape == (5, 6, 6)


def test_layers_are_those_that_receive_gradient_in_the_networks_order() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    network.add_module("unused", nn.Linear(3, 3))
    network.forward = lambda x: network[2](network[1](network[0](x)))  # type: ignore[method-assign]
    problem = task()
    assert measure(network, problem.images, problem.labels).layers == ("0.weight", "2.weight")


class Constant(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(x))


class Detached(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


def with_weight(value: float) -> nn.Module:
    network = Small()
    nn.init.constant_(network.head.weight, value)
    return network


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Constant(), "do not depend on the image"),
        (Detached(), "no weight receives gradient"),
        (nn.Flatten(), "no weight receives gradient"),
        (with_weight(math.nan), "not finite"),
        (with_weight(math.inf), "not finite"),
        (with_weight(0.0), "do not depend on the image"),
        (with_weight(1e30), "not finite"),  # the gradients' squares overflow
    ],
)
def test_dead_networks_are_told_why(network: nn.Module, reason: str) -> None:
    problem = task()
    with pytest.raises(DeadNetwork, match=reason):
        measure(network, problem.images, problem.labels)


def test_a_cell_without_a_path_is_dead() -> None:
    space = SPACES["nasbench201"]
    cell = space.parse("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    evaluation = task(space).evaluate(cell)
    assert (evaluation.status, evaluation.key, evaluation.scores) == ("dead", "dead", {})
    assert evaluation.reason


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_errors_are_no_gradient(dtype: torch.dtype) -> None:
    # Its normal cell pools nothing: with per-sample statistics the logits are the head's bias.
    space = full_darts()
    sizes = {"cells": 5, "channels": 8}
    pixels = np.random.default_rng(0).normal(size=(6, 3, 16, 16))
    problem = task(space, macro=sizes, images=torch.from_numpy(pixels).float())
    genotype = space.parse("DARTS_V2")
    network = problem.build(genotype).to(dtype)
    images = problem.images.to(dtype)
    with pytest.raises(DeadNetwork, match="do not depend on the image"):
        measure(network, images, problem.labels, Measuring("sample"))
    assert measure(network, images, problem.labels, Measuring("frozen")).layers
