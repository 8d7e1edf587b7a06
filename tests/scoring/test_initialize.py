"""Initial weights are a function of (seed, draw, name) and have the distribution they claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.scoring import initialize
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import SIZES


def state(
    network: nn.Module, seed: int = 0, draw: int = 0, scheme: str = "default"
) -> dict[str, Tensor]:
    return dict(initialize(network, seed, scheme, draw).state_dict())  # type: ignore[arg-type]


@pytest.mark.parametrize("space", [DartsSpace(), Nasbench201Space()], ids=lambda s: s.name)
def test_networks_share_what_they_have_in_common(space: DartsSpace) -> None:
    rng = np.random.default_rng(0)
    genotype = space.sample(rng)
    relatives = [space.mutate(genotype, rng) for _ in range(5)] + [space.sample(rng)]
    first = state(space.build(genotype, (3, 8, 8), 3, **SIZES[space.name]))
    for relative in relatives:
        other = state(space.build(relative, (3, 8, 8), 3, **SIZES[space.name]))
        shared = first.keys() & other.keys()
        assert len(shared) > 10
        for name in shared:
            assert torch.equal(first[name], other[name]), name


def test_order_of_building_and_what_stands_around_do_not_matter() -> None:
    def layers() -> list[tuple[str, nn.Module]]:
        return [("a", nn.Conv2d(3, 4, 3)), ("b", nn.Linear(4, 2)), ("c", nn.BatchNorm2d(4))]

    forward, backward = nn.ModuleDict(dict(layers())), nn.ModuleDict(dict(layers()[::-1]))
    alone = nn.ModuleDict({"b": nn.Linear(4, 2)})
    first, second = state(forward), state(backward)
    assert list(first) != list(second)
    for name, value in first.items():
        assert torch.equal(value, second[name])
    assert torch.equal(state(alone)["b.weight"], first["b.weight"])


def test_seed_draw_and_name_each_change_the_weights() -> None:
    def weights(name: str, seed: int, draw: int) -> torch.Tensor:
        return state(nn.ModuleDict({name: nn.Linear(50, 50)}), seed, draw)[f"{name}.weight"]

    reference = weights("a", 1, 2)
    assert torch.equal(weights("a", 1, 2), reference)
    for other in (weights("b", 1, 2), weights("a", 2, 2), weights("a", 1, 1), weights("a", 2, 1)):
        correlation = np.corrcoef(other.flatten(), reference.flatten())[0, 1]
        assert abs(correlation) < 0.1  # 5 standard deviations of 2,500 independent pairs


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    network = nn.Conv2d(3, 4, 3)
    torch.set_rng_state(before)
    first = state(network)["weight"].clone()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(state(network)["weight"], first)


@pytest.mark.parametrize(
    ("layer", "fan_in"), [(nn.Conv2d(32, 64, 3, groups=4), 72), (nn.Linear(100, 200), 100)]
)
def test_default_weights_are_uniform_as_torchs_own(
    layer: nn.Conv2d | nn.Linear, fan_in: int
) -> None:
    bound = 1 / math.sqrt(fan_in)
    weights = state(layer)["weight"].flatten().numpy()
    assert abs(weights).max() <= bound
    assert stats.kstest(weights, "uniform", (-bound, 2 * bound)).pvalue > 1e-3
    assert abs(state(layer)["bias"]).max() <= bound
    assert state(layer)["bias"].std() == pytest.approx(bound / math.sqrt(3), rel=0.3)
    layer.reset_parameters()
    assert stats.ks_2samp(weights, layer.weight.detach().flatten().numpy()).pvalue > 1e-3


def test_kaiming_weights_are_normal_and_biases_zero() -> None:
    values = state(nn.Conv2d(32, 64, 3), scheme="kaiming_normal")
    deviation = math.sqrt(2 / (32 * 9))
    weights = values["weight"].flatten().numpy()
    assert stats.kstest(weights / deviation, "norm").pvalue > 1e-3
    assert not values["bias"].any()


def test_batch_norm_starts_afresh() -> None:
    norm = nn.BatchNorm2d(3)
    for value in norm.state_dict().values():
        value.fill_(7)
    values = state(norm)
    assert values["weight"].eq(1).all()
    assert values["running_var"].eq(1).all()
    assert not values["bias"].any()
    assert not values["running_mean"].any()
    assert values["num_batches_tracked"] == 0


def test_the_same_numbers_in_every_precision() -> None:
    single, double = state(nn.Linear(5, 5)), state(nn.Linear(5, 5).double())
    assert torch.equal(single["weight"].double(), double["weight"])


def test_what_has_no_distribution_is_said() -> None:
    with pytest.raises(InputError, match="Bilinear"):
        initialize(nn.Bilinear(3, 3, 3), 0)
    with pytest.raises(InputError, match="possible: default, kaiming_normal"):
        initialize(nn.Linear(2, 2), 0, "xavier")  # type: ignore[arg-type]
