"""Gradients of each candidate's own parameters against autograd on the candidate's own network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.gradients import NORMALIZATIONS, StackedParameters, normalized_network
from nas_search.passes.base import mean_losses
from nas_search.scoring.initialize import initialize
from nas_search.scoring.pool import ModulePool
from nas_search.spaces.nasbench201 import Nasbench201Space
from nas_search.testing.gradients import gradients_by_loop
from tests.gradients.exact import assert_untouched, snapshot, summed_cross_entropy
from tests.gradients.test_any_network import (
    MATRICES,
    Distilled,
    Shared,
    Tokens,
    Windows,
    made,
    pruned,
    subclasses,
    weight_normed,
)
from tests.gradients.test_any_network import batch as any_batch

SPACE = Nasbench201Space()
SIZES: dict[str, Any] = {"cells": 1, "channels": 4}
SHAPE, CLASSES = (3, 8, 8), 3


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def batch() -> tuple[Tensor, Tensor]:
    images = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(0))
    return images, torch.arange(6) % CLASSES


def alone(genotype: Any) -> nn.Module:
    return initialize(SPACE.build(genotype, SHAPE, CLASSES, **SIZES), 0).eval()


def candidates() -> list[Any]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(4)]


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_gradients_of_gradients_are_those_of_each_candidate_alone(mode: Any) -> None:
    images, labels = batch()
    genotypes = candidates()
    network = SPACE.build_stacked(
        genotypes, ModulePool("cpu", 0, "default", 0), SHAPE, CLASSES, **SIZES
    )
    own = StackedParameters(network, parameters="all")
    with own.in_place(mode, images):
        first = own.gradients(mean_losses(network(images), labels).sum(), create_graph=True)
        second = own.gradients(torch.stack([g.square().sum() for g in first.values()]).sum())
    for number, genotype in enumerate(genotypes):
        single = alone(genotype)
        parameters = dict(single.named_parameters())
        with normalized_network(single, mode), torch.enable_grad():
            loss = mean_losses(single(images), labels).sum()
            expected = derived(loss, parameters, create_graph=True)
            squares = torch.stack([g.square().sum() for g in expected.values()]).sum()
            again = derived(squares, parameters)
        for reference, found in ((expected, first), (again, second)):
            seen = {
                use.parameter: gradient[use.members.index(number)]
                for use, gradient in found.items()
                if number in use.members
            }
            for name, gradient in reference.items():
                if name in seen:
                    assert torch.allclose(seen[name], gradient, rtol=1e-9, atol=1e-13), name
                else:
                    assert not gradient.any(), name


def derived(of: Tensor, parameters: Mapping[str, Tensor], create_graph: bool = False) -> Any:
    found = torch.autograd.grad(
        of, list(parameters.values()), create_graph=create_graph, allow_unused=True
    )
    return {k: g for k, g in zip(parameters, found, strict=True) if g is not None}


def test_a_parameter_that_is_used_twice_has_one_copy() -> None:
    layer = nn.Linear(4, 4)
    network = nn.Sequential(layer, nn.ReLU(), layer)
    x = torch.randn(5, 4)
    own = StackedParameters(network)
    with own.in_place("eval", x):
        (gradient,) = own.gradients(network(x).sum()).values()
    network(x).sum().backward()
    assert layer.weight.grad is not None
    assert torch.allclose(gradient[0], layer.weight.grad)


def test_the_network_is_given_back_and_runs_with_the_values_that_were_asked_for() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding="same", bias=True), nn.BatchNorm2d(2))
    network.train()
    images = torch.randn(4, *SHAPE)
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    doubled = StackedParameters(network, values=lambda values: 2 * values)
    with doubled.in_place(None, images):
        seen = network(images)
    convolution = network[0]
    assert torch.allclose(seen, 2 * convolution(images))
    assert network.training
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_what_does_not_depend_on_parameters_has_no_gradients() -> None:
    own = StackedParameters(nn.Sequential(nn.Linear(2, 2)))
    assert own.gradients(torch.ones(())) == {}


@pytest.mark.parametrize("mode", ["sample", "frozen", "eval"])
@pytest.mark.parametrize(
    "make", [Tokens, Windows, Shared, subclasses, pruned, weight_normed, Distilled]
)
def test_networks_with_forwards_of_their_own(make: Any, mode: Any) -> None:
    network, (images, labels) = made(make), any_batch()
    expected = gradients_by_loop(network, images, labels, mode, summed_cross_entropy)
    before = snapshot(network)
    for parameters in ("all", "weights"):
        own = StackedParameters(network, parameters=parameters)
        with own.in_place(mode, images):
            found = own.gradients(summed_cross_entropy(network(images), labels))
        if parameters == "weights" and MATRICES[make] is not None:
            assert {use.parameter for use in found} == MATRICES[make]
        for use, gradient in found.items():
            rows = expected[use.parameter].sum(0)
            assert torch.allclose(gradient.flatten(), rows, rtol=1e-9, atol=1e-12), use.parameter
    assert_untouched(network, before)


def test_recurrent_layers_run_with_the_copies() -> None:
    network = nn.LSTM(4, 3, batch_first=True)
    x = torch.randn(5, 6, 4)
    own = StackedParameters(network, values=lambda values: 2 * values)
    with own.in_place("eval", x):
        doubled = network(x)[0]
        found = own.gradients(doubled.sum())
    assert {use.parameter for use in found} == {"weight_ih_l0", "weight_hh_l0"}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    assert torch.allclose(network(x)[0], doubled)
    network(x)[0].sum().backward()
    for use, gradient in found.items():
        expected = network.get_parameter(use.parameter).grad
        assert expected is not None
        assert torch.allclose(gradient[0], expected)
