"""Which of two networks of equal size is the better one: how often a score orders them rightly."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from nas_search.ranking.correlation import failures_last
from nas_search.tables import Array

WITHIN = 0.1
"""Sizes are equal if the larger is at most this share above the smaller."""


class EqualSizePairs(NamedTuple):
    """How often a score is right about two networks of equal size.

    Attributes:
        share: share of the pairs that are ordered rightly, in [0, 1]; .5 is chance; NaN without a
            pair.
        low: lower bound of the interval over architectures.
        high: its upper bound.
        pairs: number of pairs.
    """

    share: float
    low: float
    high: float
    pairs: int


def equal_size_pairs(
    values: Array, accuracies: Array, sizes: Array, within: float = WITHIN, level: float = 0.95
) -> EqualSizePairs:
    r"""Return how often the higher score has the higher accuracy, among pairs of equal size.

    Every pair of architectures whose larger size is at most ``1 + within`` times the smaller counts
    once; a pair with equal scores counts half; a pair with equal accuracies has no right order and
    does not count. Networks without a score (NaN) are below all others, tied with each other.

    The sample are the architectures, not the pairs: each is in many of them. The share is a ratio
    of two U-statistics; its standard error is that of the jackknife over architectures, to first
    order, and the interval is Student's t on the scale of log-odds, which stays within [0, 1]:

        logit(share) +- t s / (share (1 - share)),
        s^2 = n / (n - 1) \sum_i ((R_i - share P_i) / P)^2

    with R of P pairs ordered rightly, R_i of P_i of those with architecture i, and n architectures
    in a pair. Where all pairs are right (or all wrong), s is 0 and means nothing: the interval is
    then that of n / 2 independent pairs (Clopper and Pearson). O(n + pairs) time, O(n) memory.

    Args:
        values: (n,) scores, higher is better.
        accuracies: (n,); architectures of unknown accuracy (NaN) are left out.
        sizes: (n,) parameters, multiply-accumulates or any other size, 0 or more; those of unknown
            size (NaN) are left out.
        within: share by which the sizes of a pair may differ; ``math.inf`` for all pairs.
        level: of the interval.
    """
    known = np.isfinite(accuracies) & np.isfinite(sizes)
    right, pairs = _of_each(
        failures_last(np.asarray(values)[known]),
        np.asarray(accuracies)[known],
        np.asarray(sizes)[known],
        within,
    )
    right, pairs = right[pairs > 0], pairs[pairs > 0]
    if not len(pairs):
        return EqualSizePairs(math.nan, math.nan, math.nan, 0)
    share = float(right.sum() / pairs.sum())
    low, high = _interval(right, pairs, level)
    return EqualSizePairs(share, low, high, round(pairs.sum() / 2))


def equal_size_windows(
    sizes: Array, within: float = WITHIN
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the order by size, and for each place in it the range of places of equal size.

    Returns:
        order, first places and the places after the last, each (n,).
    """
    order = np.argsort(sizes, kind="stable")
    ordered = np.asarray(sizes, dtype=np.float64)[order]
    # A hair above the share, since 1.1 times a size is rounded.
    limits = ordered * (1 + within) * (1 + 1e-12) if math.isfinite(within) else np.inf
    ends = np.searchsorted(ordered, np.broadcast_to(limits, ordered.shape), side="right")
    return order, np.searchsorted(ends, np.arange(len(ends)), side="right"), ends


def _of_each(scores: Array, accuracies: Array, sizes: Array, within: float) -> tuple[Array, Array]:
    """Return of each architecture the pairs that it is in: how many are right, how many count."""
    order, starts, ends = equal_size_windows(sizes, within)
    # Ranks: their differences keep their sign in single precision.
    x = stats.rankdata(scores, method="dense")[order].astype(np.float32)
    y = stats.rankdata(accuracies, method="dense")[order].astype(np.float32)
    agreement, pairs = np.zeros(len(x)), np.zeros(len(x))
    for place, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        above = np.sign(y[start:end] - y[place])
        agreement[place] = above @ np.sign(x[start:end] - x[place])
        pairs[place] = above @ above
    return (agreement + pairs) / 2, pairs


def _interval(right: Array, pairs: Array, level: float) -> tuple[float, float]:
    n, tail = len(pairs), (1 - level) / 2
    share = right.sum() / pairs.sum()
    if share in (0, 1):
        bound = tail ** (1 / (n // 2))
        return (bound, 1.0) if share else (0.0, 1 - bound)
    # Both sums count each pair twice, once for each of its two.
    error = 2 * math.sqrt(n / (n - 1) * ((right - share * pairs) ** 2).sum()) / pairs.sum()
    center = math.log(share / (1 - share))
    reach = stats.t.ppf(1 - tail, n - 1) * error / (share * (1 - share))
    return float(special.expit(center - reach)), float(special.expit(center + reach))
