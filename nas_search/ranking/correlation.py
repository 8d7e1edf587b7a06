r"""Statistics of how well a score ranks architectures of known accuracy: pure functions.

Scores and accuracies are arrays (n,), higher is better, accuracies in percent. All orders of tied
scores are equally likely: a statistic that depends on the order is its expectation over them. An
undefined statistic (fewer than two architectures, a constant) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from nas_search.tables import Array

EXACT = 1500
"""Largest number of architectures for which the bootstrap of tau recounts all pairs; see
:func:`bootstrap_tau`."""


def failures_last(scores: Array) -> Array:
    """Return ``scores`` with every NaN replaced by one value below all others.

    Networks without a score (dead, failed) are ranked last, tied with each other.
    """
    scored = np.isfinite(scores)
    # Ranks instead of scores: there is always a rank below the lowest one.
    ranks = np.zeros(len(scores))
    ranks[scored] = stats.rankdata(scores[scored], method="dense")
    return ranks


def kendall_tau(scores: Array, accuracies: Array) -> float:
    """Kendall's tau-b, in [-1, 1]: agreeing minus disagreeing pairs, corrected for ties."""
    if _is_undefined(scores, accuracies):
        return math.nan
    return float(stats.kendalltau(scores, accuracies).statistic)


def spearman_rho(scores: Array, accuracies: Array) -> float:
    """Spearman's rho, in [-1, 1]: correlation of ranks, ties at their mean rank."""
    if _is_undefined(scores, accuracies):
        return math.nan
    return float(stats.spearmanr(scores, accuracies).statistic)


def partial_spearman(scores: Array, accuracies: Array, *covariates: Array) -> float:
    """Partial Spearman's rho of scores and accuracies given the covariates, in [-1, 1].

    The correlation between the residuals of the scores' and the accuracies' ranks after linear
    regression on the covariates' ranks; with one covariate c it is
    ``(r_sa - r_sc r_ac) / sqrt((1 - r_sc^2) (1 - r_ac^2))``. NaN if the covariates' ranks explain
    one of the two completely.
    """
    if _is_undefined(scores, accuracies):
        return math.nan
    regressors = [np.ones(len(scores)), *(stats.rankdata(c) for c in covariates)]
    basis, sizes, _ = np.linalg.svd(np.stack(regressors, 1), full_matrices=False)
    basis = basis[:, sizes > 1e-9 * sizes[0]]  # covariates of the same ranks count once
    residuals = []
    for values in (scores, accuracies):
        ranks = stats.rankdata(values) - (len(values) + 1) / 2
        residual = ranks - basis @ (basis.T @ ranks)
        if not residual @ residual > 1e-9 * (ranks @ ranks):
            return math.nan
        residuals.append(residual / np.linalg.norm(residual))
    return float(residuals[0] @ residuals[1])


def mean_tau(rankings: Sequence[Array]) -> float:
    """Mean of Kendall's tau-b over all pairs of ``rankings`` (n,), in [-1, 1]; NaN ranks last."""
    taus = [kendall_tau(*map(failures_last, pair)) for pair in combinations(rankings, 2)]
    return float(np.mean(taus)) if taus else math.nan


def ndcg(scores: Array, accuracies: Array, first: int | None = None) -> float:
    """Normalized discounted cumulative gain, in [0, 1].

    ``sum_j gain_j / log2(1 + j)`` over the networks in the order of their scores (j from 1),
    divided by the same sum in the order of their accuracies. The gain is ``2^a - 1`` with the
    accuracy a as a share in [0, 1].

    Args:
        scores: (n,).
        accuracies: (n,) in percent.
        first: number of networks that count, from the top; None means all.
    """
    if not len(scores):
        return math.nan
    gains = np.exp2(accuracies / 100) - 1
    weights = 1 / np.log2(np.arange(len(gains)) + 2)
    if first is not None:
        weights[first:] = 0
    ideal = weights @ np.sort(gains)[::-1]
    return float(weights @ expected_order(scores, gains) / ideal) if ideal else math.nan


def top_mean(scores: Array, accuracies: Array, count: int) -> float:
    """Mean accuracy of the ``count`` networks of highest score, or of all if there are fewer."""
    if not len(scores):
        return math.nan
    return float(expected_order(scores, accuracies)[:count].mean())


def expected_order(scores: Array, values: Array) -> Array:
    """Return ``values`` (n,) by descending score; tied scores have the mean of their values."""
    order = np.argsort(-scores, kind="stable")
    _, group = np.unique(-scores[order], return_inverse=True)
    means = np.bincount(group, values[order]) / np.bincount(group)
    return means[group]


def tau_of_best(scores: Array, accuracies: Array, share: float = 0.1) -> float:
    """Kendall's tau-b among the ``share`` of networks of highest accuracy (ties included)."""
    if not len(scores):
        return math.nan
    best = accuracies >= np.quantile(accuracies, 1 - share)
    return kendall_tau(scores[best], accuracies[best])


def bootstrap_tau(
    scores: Array, accuracies: Array, draws: int, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of Kendall's tau-b over architectures.

    A resample is a vector w of counts; with ``S_ij = sign(s_i - s_j) sign(a_i - a_j)`` its tau is
    ``w'Sw / sqrt((m - t_s) (m - t_a))``, where m = n^2 and t is the number of tied pairs, including
    each architecture with itself; all resamples are one matrix product. Above :data:`EXACT`
    architectures ``w'Sw`` is approximated to first order around w = 1, ``(2w - 1)'S1``; the error
    is n times smaller than the square of the interval.

    Args:
        scores: (n,).
        accuracies: (n,).
        draws: number of resamples; 0 for no interval.
        seed: seed of the resampling.
        level: fraction of resamples in the interval.

    Returns:
        Lower and upper bound; NaN if tau is undefined.
    """
    if not draws or _is_undefined(scores, accuracies):
        return math.nan, math.nan
    n = len(scores)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    if n <= EXACT:
        agreement = np.einsum("bi,bi->b", weights, weights @ _agreement(scores, accuracies))
    else:
        agreement = (2 * weights - 1) @ _agreement_sums(scores, accuracies)
    pairs = np.sqrt(_untied(scores, weights) * _untied(accuracies, weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        taus = agreement / pairs
    tail = (1 - level) / 2
    low, high = np.nanquantile(taus, [tail, 1 - tail])
    return float(low), float(high)


def _agreement(scores: Array, accuracies: Array) -> Array:
    """Return S (n, n): 1 for pairs in the same order, -1 in the opposite order, 0 for ties."""
    return np.sign(scores[:, None] - scores) * np.sign(accuracies[:, None] - accuracies)


def _agreement_sums(scores: Array, accuracies: Array, block: int = 256) -> Array:
    """Return the row sums of S (n,) with at most ``block`` of its rows in memory."""
    x = stats.rankdata(scores, method="dense").astype(np.float32)
    y = stats.rankdata(accuracies, method="dense").astype(np.float32)
    sums = [
        np.einsum(
            "ij,ij->i",
            np.sign(x[start : start + block, None] - x),
            np.sign(y[start : start + block, None] - y),
        )
        for start in range(0, len(x), block)
    ]
    return np.concatenate(sums).astype(np.float64)


def _untied(values: Array, weights: Array) -> Array:
    """Return the number of ordered pairs that differ in ``values``, per resample (b,)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-np.inf))
    groups = np.add.reduceat(weights[:, order], starts, axis=1)
    total = weights.sum(1)
    return np.asarray(total**2 - (groups**2).sum(1))


def _is_undefined(first: Array, second: Array) -> bool:
    return len(first) < 2 or bool((first == first[0]).all() or (second == second[0]).all())
