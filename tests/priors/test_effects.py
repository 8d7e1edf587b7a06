"""Why a prior expects what it does of an architecture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.priors import Prior, effects, fit_prior, shipped_prior
from nas_search.priors.effects import NEAR
from nas_search.spaces import SPACES, SearchSpace

SPACE: SearchSpace[Any] = SPACES.get("nasbench201").space()


def cells(count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


@pytest.fixture(scope="module")
def prior() -> Prior:
    """Return a prior of a world in which skips alone count, and the score."""
    trained = cells(80)
    score = np.random.default_rng(1).normal(size=80)
    worth = np.array([str(one).count("skip") for one in trained]) + score
    return fit_prior(SPACE, trained, {"made": worth}, scores={"gradalign": score}, trees=60)


def test_effects_sum_to_the_prediction(prior: Prior) -> None:
    for cell in cells(10, seed=2):
        scores = {"gradalign": [0.3]}
        told = effects(prior, cell, scores)
        (mean,), _ = prior.predict([cell], scores)
        assert prior.mean + sum(one.effect for one in told) == pytest.approx(mean, abs=1e-12)
        assert len({one.feature for one in told}) == len(told)
        sizes = [abs(one.effect) for one in told]
        assert sizes == sorted(sizes, reverse=True) and min(sizes) > 0


def test_what_counts_is_named_with_its_value(prior: Prior) -> None:
    skips, rest = "skip_connect", "nor_conv_1x1"
    cell = f"|{skips}~0|+|{skips}~0|{skips}~1|+|{rest}~0|{rest}~1|{rest}~2|"
    high = {one.feature: one for one in effects(prior, cell, {"gradalign": [2.5]})}
    features = graph_features(SPACE, [cell])
    for name, value in zip(features.names, features.values[0], strict=True):
        assert name not in high or high[name].value == value
    assert high["cell.count[skip_connect]"].effect > 0.1
    assert high["gradalign"].value == 2.5 and high["gradalign"].effect > 0.3
    low = {one.feature: one.effect for one in effects(prior, cell, {"gradalign": [-2.5]})}
    assert low["gradalign"] < -0.3
    assert 0.3 < high[NEAR].value <= 1
    with pytest.raises(InputError, match="needs the score gradalign"):
        effects(prior, cell)


@pytest.mark.parametrize("name", ["darts", "nasbench201", "nasbench101"])
def test_shipped_priors_can_be_explained(name: str) -> None:
    space = SPACES.get(name).space()
    prior = shipped_prior(space)
    architecture = space.sample(np.random.default_rng(0))
    told = effects(prior, architecture)
    (mean,), _ = prior.predict([architecture])
    assert abs(prior.mean) < 0.1  # normal scores, about
    assert prior.mean + sum(one.effect for one in told) == pytest.approx(mean, abs=1e-12)


def test_a_trained_cell_is_next_to_itself() -> None:
    trained = cells(30)
    prior = fit_prior(SPACE, trained, {"made": np.arange(30.0)}, trees=20)
    told = {one.feature: one for one in effects(prior, trained[3])}
    assert told[NEAR].value == 1
    forest = fit_prior(SPACE, trained, {"made": np.arange(30.0)}, trees=20, process=False)
    assert NEAR not in {one.feature for one in effects(forest, trained[3])}
