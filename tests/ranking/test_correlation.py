"""Every statistic against a naive implementation of its definition and known values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nas_search.ranking import correlation
from nas_search.ranking.correlation import (
    bootstrap_tau,
    expected_order,
    failures_last,
    kendall_tau,
    mean_tau,
    ndcg,
    partial_spearman,
    spearman_rho,
    tau_of_best,
    top_mean,
)

RNG = np.random.default_rng(0)
ACCURACIES = RNG.integers(60, 95, size=40).astype(float)  # with ties
SCORES = np.round(ACCURACIES + RNG.normal(0, 8, size=40) / 2)  # with ties


def naive_tau_b(x: np.ndarray, y: np.ndarray) -> float:
    agree = tied_x = tied_y = pairs = 0
    for i, j in itertools.combinations(range(len(x)), 2):
        pairs += 1
        agree += np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        tied_x += x[i] == x[j]
        tied_y += y[i] == y[j]
    return float(agree / math.sqrt((pairs - tied_x) * (pairs - tied_y)))


def all_orders(scores: list[float]) -> list[tuple[int, ...]]:
    """Return every order of the indices with descending scores."""
    orders = itertools.permutations(range(len(scores)))
    return [o for o in orders if all(scores[a] >= scores[b] for a, b in itertools.pairwise(o))]


def test_tau_equals_its_definition() -> None:
    assert kendall_tau(SCORES, ACCURACIES) == pytest.approx(naive_tau_b(SCORES, ACCURACIES))
    assert kendall_tau(ACCURACIES, ACCURACIES) == pytest.approx(1)
    assert kendall_tau(-ACCURACIES, ACCURACIES) == pytest.approx(-1)


def test_rho_is_the_correlation_of_ranks() -> None:
    ranks = [stats.rankdata(x) for x in (SCORES, ACCURACIES)]
    assert spearman_rho(SCORES, ACCURACIES) == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_partial_rho_is_the_correlation_of_the_residuals() -> None:
    covariate = ACCURACIES + RNG.normal(0, 10, size=40)
    x, y, z = (stats.rankdata(v) for v in (SCORES, ACCURACIES, covariate))
    left = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    expected = np.corrcoef(*left)[0, 1]
    assert partial_spearman(SCORES, ACCURACIES, covariate) == pytest.approx(expected)
    assert math.isnan(partial_spearman(covariate, ACCURACIES, covariate))
    assert math.isnan(partial_spearman(3 * covariate, ACCURACIES, covariate))


def test_partial_rho_given_two_covariates_is_the_correlation_of_the_residuals() -> None:
    rng = np.random.default_rng(4)
    params = ACCURACIES + rng.normal(0, 10, size=40)
    flops = params + rng.normal(0, 5, size=40)
    x, y, p, f = (stats.rankdata(v) for v in (SCORES, ACCURACIES, params, flops))
    design = np.stack([np.ones(40), p, f], 1)
    left = [v - design @ np.linalg.solve(design.T @ design, design.T @ v) for v in (x, y)]
    given = partial_spearman(SCORES, ACCURACIES, params, flops)
    assert given == pytest.approx(np.corrcoef(*left)[0, 1])
    assert given == pytest.approx(partial_spearman(SCORES, ACCURACIES, flops, params))
    # The recursion of partial correlations: take out the one, then the other of what is left.
    xy, xf, yf = (
        partial_spearman(a, b, params)
        for a, b in ((SCORES, ACCURACIES), (SCORES, flops), (ACCURACIES, flops))
    )
    assert given == pytest.approx((xy - xf * yf) / math.sqrt((1 - xf**2) * (1 - yf**2)))


def test_redundant_covariates_do_not_change_partial_rho() -> None:
    covariate = ACCURACIES + np.random.default_rng(5).normal(0, 10, size=40)
    one = partial_spearman(SCORES, ACCURACIES, covariate)
    assert partial_spearman(SCORES, ACCURACIES, covariate, 7 * covariate) == pytest.approx(one)
    assert partial_spearman(SCORES, ACCURACIES, covariate, np.ones(40)) == pytest.approx(one)
    assert math.isnan(partial_spearman(covariate, ACCURACIES, SCORES, covariate))
    direct = partial_spearman(SCORES, ACCURACIES, np.ones(40))
    assert direct == pytest.approx(spearman_rho(SCORES, ACCURACIES))


def test_mean_tau_is_the_mean_over_pairs() -> None:
    rng = np.random.default_rng(6)
    a, b, c = (SCORES + rng.normal(0, 5, size=40) for _ in range(3))
    b[3] = math.nan
    last = np.where(np.isnan(b), -1e9, b)
    taus = [naive_tau_b(a, last), naive_tau_b(a, c), naive_tau_b(last, c)]
    assert mean_tau([a, b, c]) == pytest.approx(np.mean(taus))
    assert mean_tau([a, 2 * a]) == pytest.approx(1)
    assert math.isnan(mean_tau([a]))


def test_ndcg_is_one_only_for_the_true_order_and_weighs_the_top_most() -> None:
    accuracies = np.array([90.0, 80.0, 70.0, 10.0])
    assert ndcg(accuracies, accuracies) == pytest.approx(1)
    gains = [2 ** (a / 100) - 1 for a in accuracies]
    swapped = np.array([3.0, 4.0, 2.0, 1.0])
    order = [1, 0, 2, 3]
    dcg = sum(gains[k] / math.log2(place + 2) for place, k in enumerate(order))
    best = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    assert ndcg(swapped, accuracies) == pytest.approx(dcg / best)
    last_two = np.array([4.0, 3.0, 1.0, 2.0])
    assert ndcg(swapped, accuracies, first=2) == pytest.approx(
        (gains[1] + gains[0] / math.log2(3)) / (gains[0] + gains[1] / math.log2(3))
    )
    assert ndcg(last_two, accuracies, first=2) == pytest.approx(1)


def test_statistics_of_ties_are_means_over_their_orders() -> None:
    scores = [2.0, 1.0, 2.0, 1.0, 1.0, 3.0]
    accuracies = np.array([50.0, 91.0, 70.0, 20.0, 60.0, 10.0])
    orders = all_orders(scores)
    assert len(orders) == 12
    for count in range(1, 7):
        expected = np.mean([accuracies[list(order[:count])].mean() for order in orders])
        assert top_mean(np.array(scores), accuracies, count) == pytest.approx(expected)
    expected_values = np.mean([accuracies[list(order)] for order in orders], axis=0)
    assert expected_order(np.array(scores), accuracies) == pytest.approx(expected_values)
    expected = np.mean([ndcg(-np.argsort(order).astype(float), accuracies) for order in orders])
    assert ndcg(np.array(scores), accuracies) == pytest.approx(expected)


def test_tau_of_best_uses_only_the_best() -> None:
    accuracies = np.arange(100.0)
    scores = accuracies.copy()
    scores[90:] = scores[90:][::-1]  # the order of the best ten is reversed
    assert tau_of_best(scores, accuracies) == pytest.approx(-1)
    assert kendall_tau(scores, accuracies) > 0.97


def test_networks_without_a_score_rank_last_and_tie() -> None:
    ranks = failures_last(np.array([math.nan, -1e300, 5.0, math.nan, 5.0, -math.inf]))
    assert ranks.tolist() == [0, 1, 2, 0, 2, 0]


def test_undefined_statistics_are_nan() -> None:
    few, constant = np.array([1.0]), np.ones(5)
    for x, y in ((few, few), (constant, np.arange(5.0)), (np.arange(5.0), constant)):
        assert math.isnan(kendall_tau(x, y))
        assert math.isnan(spearman_rho(x, y))
        assert all(map(math.isnan, bootstrap_tau(x, y, 10)))
    none = np.array([])
    assert math.isnan(ndcg(none, none))
    assert math.isnan(top_mean(none, none, 1))
    assert math.isnan(tau_of_best(none, none))
    assert all(map(math.isnan, bootstrap_tau(SCORES, ACCURACIES, 0)))


def test_bootstrap_resamples_architectures() -> None:
    draws, n = 200, len(SCORES)
    counts = np.random.default_rng(3).multinomial(n, np.full(n, 1 / n), size=draws)
    taus = []
    for row in counts:
        chosen = np.repeat(np.arange(n), row)
        taus.append(stats.kendalltau(SCORES[chosen], ACCURACIES[chosen]).statistic)
    expected = np.quantile(taus, [0.025, 0.975])
    assert bootstrap_tau(SCORES, ACCURACIES, draws, seed=3) == pytest.approx(expected)
    assert bootstrap_tau(SCORES, ACCURACIES, draws, seed=4) != pytest.approx(expected)


def test_bootstrap_of_many_architectures_agrees_with_the_exact_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    accuracies = np.round(rng.normal(90, 3, size=1200), 1)
    scores = np.round(accuracies + rng.normal(0, 3, size=1200))
    exact = bootstrap_tau(scores, accuracies, 300)
    monkeypatch.setattr(correlation, "EXACT", 0)
    first_order = bootstrap_tau(scores, accuracies, 300)
    assert first_order == pytest.approx(exact, abs=0.003)
    assert exact[1] - exact[0] > 0.03


def test_interval_contains_the_true_value_as_often_as_its_level() -> None:
    # tau of a bivariate normal of correlation r is 2 asin(r) / pi.
    rng = np.random.default_rng(2)
    truth = 2 * math.asin(0.6) / math.pi
    inside = 0
    for seed in range(200):
        x, noise = rng.normal(size=(2, 100))
        low, high = bootstrap_tau(x, 0.6 * x + 0.8 * noise, 200, seed)
        inside += low <= truth <= high
    assert 0.89 <= inside / 200 <= 0.99
