"""Pairs of equal size: against naive loops, laws, and the coverage of the interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_search.ranking.equal_size import EqualSizePairs, equal_size_pairs

NAN = math.nan


def naive(
    values: np.ndarray, accuracies: np.ndarray, sizes: np.ndarray, within: float
) -> tuple[float, float, int, int]:
    """Return share, its standard error, pairs, and architectures in one: a loop over all pairs."""
    right: dict[int, float] = {}
    count: dict[int, int] = {}
    for i, j in itertools.combinations(range(len(values)), 2):
        small, large = sorted((sizes[i], sizes[j]))
        difference = accuracies[i] - accuracies[j]
        if math.isnan(small + large) or (large - small) / (small or 1) > within + 1e-9:
            continue
        if math.isnan(difference) or difference == 0:
            continue
        x, y = (-math.inf if math.isnan(values[k]) else values[k] for k in (i, j))
        point = 0.5 if x == y else float((x > y) == (difference > 0))
        for k in (i, j):
            right[k], count[k] = right.get(k, 0) + point, count.get(k, 0) + 1
    if not count:
        return NAN, NAN, 0, 0
    n, pairs = len(count), sum(count.values()) // 2
    share = sum(right.values()) / 2 / pairs
    squares = sum(((right[k] - share * count[k]) / pairs) ** 2 for k in count)
    return share, math.sqrt(n / (n - 1) * squares), pairs, n


@given(
    st.lists(
        st.tuples(
            st.sampled_from([NAN, 0.0, 1.0, 2.0, 2.5, 7.0]),
            st.sampled_from([NAN, 50.0, 60.0, 61.0, 90.5]),
            st.sampled_from([NAN, 0.0, 100.0, 105.0, 110.0, 111.0, 121.0, 300.0]),
        ),
        max_size=14,
    ),
    st.sampled_from([0.0, 0.1, 0.5, math.inf]),
)
@settings(max_examples=200, deadline=None)
def test_share_and_interval_equal_a_loop_over_all_pairs(
    rows: list[tuple[float, float, float]], within: float
) -> None:
    values, accuracies, sizes = np.array(rows, dtype=float).reshape(-1, 3).T
    share, error, pairs, n = naive(values, accuracies, sizes, within)
    result = equal_size_pairs(values, accuracies, sizes, within)
    assert result.pairs == pairs
    assert result.share == pytest.approx(share, nan_ok=True)
    if 0 < share < 1:
        reach = stats.t.ppf(0.975, n - 1) * error / (share * (1 - share))
        odds = share / (1 - share)
        for bound, factor in ((result.low, math.exp(-reach)), (result.high, math.exp(reach))):
            assert bound == pytest.approx(1 / (1 + 1 / (odds * factor)))


def test_sizes_are_equal_up_to_a_tenth_of_the_smaller() -> None:
    scores, accuracies = np.array([1.0, 2.0]), np.array([90.0, 91.0])
    for sizes, pairs in (([100, 110], 1), ([110, 100], 1), ([1000, 1101], 0), ([0, 0], 1)):
        assert equal_size_pairs(scores, accuracies, np.array(sizes, float)).pairs == pairs


def test_ties_count_half_and_equal_accuracies_not_at_all() -> None:
    sizes = np.full(3, 5.0)
    constant = equal_size_pairs(np.ones(3), np.array([90.0, 91, 92]), sizes)
    assert constant == EqualSizePairs(0.5, 0.5, 0.5, 3)
    assert equal_size_pairs(np.arange(3.0), np.array([90.0, 91, 91]), sizes).pairs == 2


def test_all_right_has_the_interval_of_half_as_many_independent_pairs() -> None:
    values = np.arange(10.0)
    result = equal_size_pairs(values, values, np.ones(10))
    assert (result.share, result.high) == (1, 1)
    assert result.low == pytest.approx(0.025 ** (1 / 5))
    wrong = equal_size_pairs(-values, values, np.ones(10))
    assert (wrong.low, wrong.high) == pytest.approx((0, 1 - result.low))


def test_nothing_to_compare_is_nan() -> None:
    for rows in ([], [[1.0, 90, 5]], [[1.0, 90, 5], [2.0, 91, 50]]):
        values, accuracies, sizes = np.array(rows, dtype=float).reshape(-1, 3).T
        result = equal_size_pairs(values, accuracies, sizes)
        assert result.pairs == 0
        assert math.isnan(result.share) and math.isnan(result.low) and math.isnan(result.high)


def population(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores, accuracies with a long tail of bad ones, and sizes that follow both."""
    accuracies = -rng.gamma(0.5, size=n)
    latent = (accuracies + 0.5) / math.sqrt(0.5)
    scores = 0.8 * latent + 0.6 * rng.normal(size=n)
    return scores, accuracies, np.exp(0.2 * latent + 0.35 * rng.normal(size=n))


@pytest.mark.parametrize("n", [30, 120])
def test_interval_covers_the_share_of_all_architectures(n: int) -> None:
    truth = equal_size_pairs(*population(10_000, np.random.default_rng(0))).share
    inside, pairs_inside, repeats = 0, 0, 300
    for seed in range(repeats):
        result = equal_size_pairs(*population(n, np.random.default_rng(1 + seed)))
        inside += result.low <= truth <= result.high
        # What the interval would be if pairs were the sample: far too narrow.
        reach = 1.96 * math.sqrt(result.share * (1 - result.share) / result.pairs)
        pairs_inside += abs(result.share - truth) <= reach
    assert 0.93 <= inside / repeats <= 0.995
    assert pairs_inside / repeats < inside / repeats - 0.08
