"""Costs that add up: against built networks, published sizes, and sums taken by hooks."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas_search.core.errors import InputError
from nas_search.costs import COSTS, At, bound_keys
from nas_search.costs.at import deployed_sizes, read_at
from nas_search.costs.flash import RUNTIME
from nas_search.spaces import SPACES, SearchSpace
from nas_search.spaces.choices import Choices, ChoiceSpace

SMALL = {
    "darts": {"cells": 5, "channels": 4},
    "nasbench101": {"modules_per_stack": 2, "channels": 6},
    "nasbench201": {"cells": 2, "channels": 4},
    "nas_bench_macro": {"channels": 4},
    "nats_size": {},
    "transnas_macro": {"channels": 4, "stem_halvings": 1},
    "transnas_micro": {"channels": 4, "stem_halvings": 1},
}


class Chain(ChoiceSpace[Choices]):
    """A plugin's space: no parts, no cost of its own."""

    name = "chain"
    positions = (("conv", "linear"), ("conv", "pool"))

    def build(
        self, genotype: Choices, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        layers: list[nn.Module] = []
        for choice in genotype.choices:
            made: dict[str, list[nn.Module]] = {
                "conv": [nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU()],
                "linear": [nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3)],
                "pool": [nn.MaxPool2d(3, 1, 1)],
            }
            layers += made[choice]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))


def counted_by_hooks(network: nn.Module, shape: tuple[int, int, int]) -> dict[str, int]:
    """Return what convolutions and linear layers hold and put out when the network runs."""
    total = {"activations": 0, "weights": 0, "channels": 0}

    def add(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        assert isinstance(module.weight, torch.Tensor)
        total["activations"] += output.numel()
        total["weights"] += module.weight.numel()
        total["channels"] += output.shape[1]

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    network.eval()(torch.zeros(1, *shape))
    return total


@pytest.mark.parametrize("name", [*SMALL, "chain"])
def test_sums_over_parts_are_what_the_built_network_has(name: str) -> None:
    space: SearchSpace[Any] = Chain() if name == "chain" else SPACES.get(name).space()
    macro, shape = SMALL.get(name, {}), (3, 9, 11)
    at = At(shape, 7, macro)
    small = At(shape, 7, macro, "int8")
    for seed in range(2):
        genotype = space.sample(np.random.default_rng(seed))
        network = space.build(genotype, shape, 7, **macro)
        hooks = counted_by_hooks(network, shape)
        names = ("params", "macs", "activations", "flash")
        cost = {name: COSTS.get(name).cost(space, genotype, at) for name in names}
        params = sum(p.numel() for p in network.parameters() if p.requires_grad)
        assert cost["params"] == params
        assert cost["macs"] == space.cost(genotype, shape, 7, **macro).macs
        assert cost["activations"] == hooks["activations"]
        assert cost["flash"] == RUNTIME + 4 * hooks["weights"] + 4 * hooks["channels"]
        flash = COSTS.get("flash").cost(space, genotype, small)
        assert flash == RUNTIME + hooks["weights"] + 28 * hooks["channels"]


def test_darts_v2_has_its_published_size_without_the_auxiliary_head() -> None:
    space = SPACES.get("darts").space()
    sizes = deployed_sizes(space, {"cells": 20, "channels": 36, "auxiliary": True})
    assert sizes == {"cells": 20, "channels": 36, "auxiliary": False}
    at = At((3, 32, 32), 10, sizes)
    genotype = space.parse("DARTS_V2")
    params = COSTS.get("params").cost(space, genotype, at)
    assert round(params / 1e6, 1) == 3.3  # table 1 of Liu et al. 2019
    # 528 M: 'FLOPs' of this cell in papers after DARTS, which count multiply-accumulates.
    assert round(COSTS.get("macs").cost(space, genotype, at) / 1e6) == 528


def test_parts_can_be_sent_to_workers() -> None:
    for name, macro in SMALL.items():
        space = SPACES.get(name).space()
        parts = space.parts(space.sample(np.random.default_rng(0)), (3, 8, 8), 4, **macro)
        assert pickle.loads(pickle.dumps(parts)) == parts


def test_sizes_are_those_that_were_asked_for() -> None:
    space = SPACES.get("darts").space()
    basis = At((1, 8, 8), 10, {"cells": 8, "channels": 16})
    given = {"cells": 20, "input_size": 32, "dtype": "int8"}
    at = read_at(space, basis, given, "constraints.at")
    assert at == At((1, 32, 32), 10, {"cells": 20, "channels": 16}, "int8")
    for values, words in (
        ({"cell": 20}, "unknown constraints.at.cell .did you mean 'cells'"),
        ({"input_size": "big"}, "constraints.at.input_size must be an integer"),
        ({"dtype": "int4"}, "possible: float32, int8"),
    ):
        with pytest.raises(InputError, match=words):
            read_at(space, basis, values, "constraints.at")


def test_every_cost_has_an_upper_and_a_lower_bound() -> None:
    keys = bound_keys()
    assert keys["max_flash"] == ("flash", True) and keys["min_params"] == ("params", False)
    assert len(keys) == 2 * len(COSTS.names())
