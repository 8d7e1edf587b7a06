"""Aggregates of ranks, computed by hand and of real scores."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from nas_search.core.errors import InputError
from nas_search.proxies import PROXIES
from nas_search.ranking.aggregates import AGGREGATES, log_rank_sum, rank_sum
from nas_search.ranking.members import check_members, members_of
from nas_search.ranking.ranking import group_of
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import task


def test_aggregates_equal_those_computed_by_hand() -> None:
    columns = [[3.0, 1.0, 2.0, 2.0], [10.0, 30.0, 20.0, math.inf]]
    ranks: list[list[float]] = [[4, 1, 2.5, 2.5], [1, 3, 2, 4]]
    expected = [sum(math.log(r[i] / 4) for r in ranks) for i in range(4)]
    assert log_rank_sum(columns) == pytest.approx(expected)
    assert rank_sum(columns) == pytest.approx([sum(r[i] / 4 for r in ranks) for i in range(4)])


def test_dead_candidates_stay_nan_and_do_not_count_in_ranks() -> None:
    with_dead = log_rank_sum([[3.0, math.nan, 1.0], [1.0, 9.0, 2.0]])
    without = log_rank_sum([[3.0, 1.0], [1.0, 2.0]])
    assert math.isnan(with_dead[1])
    assert with_dead[[0, 2]] == pytest.approx(without)
    assert np.isnan(log_rank_sum([[math.nan], [1.0]])).all()


def test_aggregate_of_real_scores_equals_the_formula() -> None:
    names = ("gradalign", "naswot", "flops")
    space = Nasbench201Space()
    problem = task(proxies=names)
    scored = [problem.evaluate(space.sample(np.random.default_rng(i))).scores for i in range(12)]
    pool = np.array([[s.get(name, math.nan) for s in scored] for name in names])
    found = log_rank_sum(list(pool))
    alive = ~np.isnan(pool).any(0)
    assert 8 <= alive.sum() == (~np.isnan(found)).sum()
    ranks = [rankdata(row[alive]) for row in pool]
    assert found[alive] == pytest.approx(np.log(np.array(ranks) / alive.sum()).sum(0))


def test_members_of_names_are_listed_and_checked() -> None:
    assert members_of("naswot") == ("naswot",)
    assert members_of("te_nas") == ("ntk_cond", "linear_regions")
    for record in AGGREGATES:
        assert record.name not in PROXIES.names()
        if record.members:
            check_members(record.members)
    with pytest.raises(InputError, match=r"'aggregate' has no members .* aggregates=\{mine"):
        members_of("aggregate")
    with pytest.raises(InputError, match="unknown proxy 'nope'"):
        members_of("nope")
    check_members(["params", "flops"])
    for members, message in (
        (["params", "aggregate"], "is an aggregate itself"),
        (["params", "nope"], "unknown proxy 'nope'"),
        (["params"], "two different scores or more"),
        (["params", "params", "flops"], "each once"),
    ):
        with pytest.raises(InputError, match=message):
            check_members(members)


def test_fitted_scores_have_their_own_group() -> None:
    params = PROXIES.get("params")
    assert group_of(params) == "single"
    assert group_of(replace(params, fitted=True)) == "fitted"


def test_help_lists_aggregates_without_torch() -> None:
    check = (
        "import sys\n"
        "from nas_search.ranking.aggregates import AGGREGATES\n"
        "assert 'az_nas' in AGGREGATES.names() and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
