"""Columns of scores that a prior goes into."""

from __future__ import annotations

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.priors import combined, shipped_prior
from nas_search.ranking.fitted import fitted_columns
from nas_search.ranking.members import check_members, members_of
from nas_search.ranking.ranking import MEAN, Column
from nas_search.spaces.nasbench201 import Nasbench201Space

SPACE = Nasbench201Space()


def test_fitted_scores_have_one_column_per_seed_in_a_group_of_their_own() -> None:
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(6)]
    prior = shipped_prior(SPACE)
    values = {"0": np.exp(rng.normal(size=6)), MEAN: np.exp(rng.normal(size=6))}
    values["0"][2] = np.nan  # a dead network
    measured = [Column("gradalign", "single", seed, value, 1.0) for seed, value in values.items()]
    columns = fitted_columns(("gradalign", "prior", "gradalign_prior"), prior, cells, measured)
    assert {(one.name, one.seed) for one in columns} == {
        (name, seed) for name in ("prior", "gradalign_prior") for seed in ("0", MEAN)
    }
    assert {one.group for one in columns} == {"fitted"}
    predicted, _ = prior.predict(cells)
    for one in columns:
        if one.name == "prior":
            np.testing.assert_array_equal(one.values, predicted)
        else:
            expected = combined(prior, predicted, "gradalign", values[one.seed])
            np.testing.assert_array_equal(one.values, expected)
    assert np.isnan(columns[-2].values[2]) and np.isfinite(columns[-1].values).all()


def test_only_the_score_beside_a_prior_is_measured() -> None:
    assert members_of("prior") == ()
    assert members_of("gradalign_prior") == ("gradalign",)
    with pytest.raises(InputError, match="'prior' is fitted to accuracies"):
        check_members(["prior", "gradalign"])
