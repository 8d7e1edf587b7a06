"""How well predictions order trained architectures that no fitting saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nas_search.priors.forest import Array

FOLDS = 10
SIMILAR = 0.1
"""Largest difference in parameters, as a share, of a pair of networks of equal size."""
MOST_JUDGED = 2000
"""Architectures whose pairs are counted: more change nothing."""
DRAWS = 500

Rows = NDArray[np.bool_]
Numbers = NDArray[Any]


@dataclass(frozen=True)
class HeldOut:
    """How well predictions order the architectures of one training protocol.

    Attributes:
        protocol: name of the protocol.
        how: how it was made sure that no fitting saw them.
        n: number of architectures.
        pairs: share of pairs of architectures ordered rightly, .5 is chance; those of equal size
            alone where sizes are known.
        pairs_low, pairs_high: its 95 % interval, of a bootstrap over architectures.
        tau: Kendall's tau-b over all.
        rho: Spearman's rho over all.
    """

    protocol: str
    how: str
    n: int
    pairs: float
    pairs_low: float
    pairs_high: float
    tau: float
    rho: float

    def __str__(self) -> str:
        return (
            f"{self.protocol}, {self.how}: orders {100 * self.pairs:.0f} % of pairs rightly "
            f"({100 * self.pairs_low:.0f} to {100 * self.pairs_high:.0f} %, n = {self.n}), "
            f"tau {self.tau:.2f}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures, rounded."""
        values = dataclasses.asdict(self)
        return {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in values.items()
        }


def cross_validated(
    keys: Sequence[str], rows: NDArray[np.int64], predict: Callable[[Rows, Rows], Array]
) -> Array:
    """Return predictions for some of n architectures, each by a fit that did not see its network.

    Args:
        keys: (n) canonical forms; architectures of one network are in one fold.
        rows: (k,) numbers of those to predict.
        predict: from who may be learned from, (n,), and who is to be predicted, (n,), to
            predictions of the latter in order.

    Returns:
        (k,).
    """
    networks = np.random.default_rng(0).permutation(sorted({keys[row] for row in rows}))
    fold_of = {str(key): number % FOLDS for number, key in enumerate(networks)}
    fold = np.array([fold_of.get(key, -1) for key in keys])
    wanted = np.zeros(len(keys), dtype=bool)
    wanted[rows] = True
    predicted = np.full(len(keys), np.nan)
    for number in np.unique(fold[rows]):
        test = wanted & (fold == number)
        predicted[test] = predict(fold != number, test)
    return predicted[rows]


def judged(
    protocol: str,
    how: str,
    predicted: Numbers,
    accuracy: Numbers,
    params: Numbers | None = None,
) -> HeldOut:
    """Return how well ``predicted`` (n,) orders accuracies (n,).

    Args:
        protocol: name of the protocol.
        how: how the predictions were made.
        predicted: (n,).
        accuracy: (n,) in percent.
        params: (n,) parameters, where only pairs of equal size shall count.
    """
    rng = np.random.default_rng(0)
    n = len(predicted)
    chosen = rng.choice(n, MOST_JUDGED, replace=False) if n > MOST_JUDGED else np.arange(n)
    predicted, accuracy = predicted[chosen], accuracy[chosen]
    right, counted = _pairs(predicted, accuracy, None if params is None else params[chosen])
    shares = []
    for _ in range(DRAWS):
        drawn = rng.integers(len(chosen), size=len(chosen))
        counts = np.bincount(drawn, minlength=len(chosen)).astype(float)
        total = counts @ counted @ counts
        shares.append(counts @ right @ counts / total if total else np.nan)
    low, high = np.nanquantile(shares, [0.025, 0.975])
    return HeldOut(
        protocol=protocol,
        how=how,
        n=n,
        pairs=float(right.sum() / counted.sum()),
        pairs_low=float(low),
        pairs_high=float(high),
        tau=float(kendalltau(predicted, accuracy).statistic),
        rho=float(spearmanr(predicted, accuracy).statistic),
    )


def _pairs(predicted: Numbers, accuracy: Numbers, params: Numbers | None) -> tuple[Array, Array]:
    """Return (n, n): 1 where a counted pair is in the right order, 1/2 where tied; and all counted.

    Pairs of equal accuracy have no order.
    """
    counted = accuracy[:, None] != accuracy
    if params is not None:
        gap = np.abs(params[:, None] - params) / np.maximum(params[:, None], params)
        counted = counted & (gap <= SIMILAR)
    same = np.sign(predicted[:, None] - predicted) * np.sign(accuracy[:, None] - accuracy)
    return (same + 1) / 2 * counted, counted.astype(float)
