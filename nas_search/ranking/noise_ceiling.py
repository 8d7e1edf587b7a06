"""How well a perfect predictor could rank: the bound that the noise of trainings sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_search.ranking.equal_size import equal_size_windows
from nas_search.tables import Array, Repeats, Table

NEIGHBORS = 50
"""Architectures of similar accuracy over which the variance of a training is averaged."""

STEP, FARTHEST = 0.1, 6.0
"""Width of the bins of differences, and the largest one in which noise can reverse a pair; in
standard deviations of the noise."""

MAX_ROWS = 4000
"""Architectures whose pairs are counted: every k-th of more, each with all others."""

ITERATIONS = 1000


class Noise(NamedTuple):
    """The noise of n accuracies.

    Attributes:
        variance: (n,) of one training.
        trainings: (n,) how many each accuracy is the mean of.
    """

    variance: Array
    trainings: Array


class NoiseCeiling(NamedTuple):
    """What a perfect predictor of the true mean accuracy reaches against accuracies with noise.

    Attributes:
        share: of pairs, ordered rightly, in [.5, 1]; NaN without a pair.
        single: the same where every architecture had been trained once.
    """

    share: float
    single: float


def noise_of(table: Table, column: str, rows: Sequence[int]) -> Noise | None:
    """Return the noise of those rows of a column of a table; None where no network is repeated."""
    repeats = table.repeats(column)
    if repeats is None:
        return None
    accuracies = table.columns[column]
    variance = training_variance(accuracies, repeats, accuracies[rows])
    return Noise(variance, repeats.trainings[rows])


def training_variance(accuracies: Array, repeats: Repeats, wanted: Array) -> Array:
    """Return the variance of one training of an architecture of each ``wanted`` accuracy, (m,).

    Two or three trainings tell little of their own variance, and it depends on the accuracy (bad
    networks vary more), so it is the mean over the :data:`NEIGHBORS` repeatedly trained
    architectures of nearest rank, weighted by their degrees of freedom.

    Args:
        accuracies: (n,) means of the trainings.
        repeats: of the same n architectures; one at least is trained twice.
        wanted: (m,) accuracies.
    """
    repeated = np.flatnonzero((repeats.freedom > 0) & np.isfinite(accuracies))
    order = repeated[np.argsort(accuracies[repeated], kind="stable")]
    weights = repeats.freedom[order]
    sums = np.concatenate([[0], np.cumsum(weights * repeats.variance[order])])
    totals = np.concatenate([[0], np.cumsum(weights)])
    places = np.searchsorted(accuracies[order], wanted)
    starts = np.clip(places - NEIGHBORS // 2, 0, max(len(order) - NEIGHBORS, 0))
    ends = np.minimum(starts + NEIGHBORS, len(order))
    return np.asarray((sums[ends] - sums[starts]) / (totals[ends] - totals[starts]))


def noise_ceiling(
    accuracies: Array, variance: Array, trainings: Array, sizes: Array, within: float
) -> NoiseCeiling:
    r"""Return the share of pairs of equal size that the true mean accuracies order rightly.

    The differences of a pair, in standard deviations of their noise, are z = d + N(0, 1) with the
    true difference d. The distribution of \|d\| that makes the observed \|z\| most likely is found
    by expectation maximization (no shape is assumed), and the ceiling is its mean of Phi(\|d\|),
    the probability that noise leaves the order. Taking the accuracies themselves for the truth
    would promise too much: noise spreads them.

    Args:
        accuracies: (n,) means of trainings, no NaN.
        variance: (n,) of one training.
        trainings: (n,) how many each accuracy is the mean of.
        sizes: (n,).
        within: share by which the sizes of a pair may differ; ``math.inf`` for all pairs.
    """
    noise = variance / trainings
    counts = _differences(accuracies, noise, sizes, within)
    if not counts.sum() or not noise.any():
        return NoiseCeiling(np.nan, np.nan)
    true: Array = np.arange(len(counts), dtype=np.float64) * STEP
    share = _true_differences(counts, true) / counts.sum()
    spread = np.sqrt(variance.sum() / noise.sum())
    return NoiseCeiling(
        float(share @ stats.norm.cdf(true)), float(share @ stats.norm.cdf(true / spread))
    )


def _differences(accuracies: Array, noise: Array, sizes: Array, within: float) -> NDArray[np.int64]:
    """Return how many pairs of equal size differ by how many standard deviations, by bins."""
    order, _, ends = equal_size_windows(sizes, within)
    accuracies, noise = accuracies[order], noise[order]
    bins = round(FARTHEST / STEP)
    counts = np.zeros(bins + 1, dtype=np.int64)
    for place in range(0, len(order), -(-len(order) // MAX_ROWS)):
        others = slice(place + 1, ends[place])
        difference = np.abs(accuracies[others] - accuracies[place])
        deviation = np.sqrt(noise[others] + noise[place])
        far = np.full(len(difference), FARTHEST)
        units = np.divide(difference, deviation, out=far, where=deviation > 0)
        counts += np.bincount(np.minimum(units / STEP, bins).astype(int), minlength=bins + 1)
    return counts


def _true_differences(counts: NDArray[np.int64], true: Array) -> Array:
    """Return how many pairs truly differ by each of ``true``; maximizes the likelihood."""
    edges = np.append(true, np.inf)
    below = stats.norm.cdf(edges[:, None] - true) - stats.norm.cdf(-edges[:, None] - true)
    likelihood = np.diff(below, axis=0)  # (observed, true): of |z| in a bin
    weights = np.full(len(true), counts.sum() / len(true))
    for _ in range(ITERATIONS):
        expected = likelihood @ weights
        weights *= likelihood.T @ np.divide(counts, expected, where=expected > 0, out=0 * expected)
    return weights
