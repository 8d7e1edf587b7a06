"""Scores on the scale of normal scores, whatever their own scale is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from nas_search.priors.forest import Array


def normal_scores(accuracies: Sequence[float] | Array) -> Array:
    """Return the quantiles of N(0, 1) at (rank - 1/2) / n of ``accuracies`` (n,); ties share."""
    values = np.asarray(accuracies, dtype=np.float64)
    return np.asarray(norm.ppf((rankdata(values) - 0.5) / len(values)))


@dataclass(frozen=True)
class Warp:
    """Maps a score to normal scores among the trained, straight between them and beyond.

    Beyond the smallest and the largest it goes on as steeply as from the median to there, so it
    grows everywhere, and no two candidates become equal.

    Attributes:
        levels: (k,) values of the score, ascending.
        normal: (k,) their normal scores.
    """

    levels: Array
    normal: Array

    def __call__(self, values: Sequence[float] | Array) -> Array:
        """Return the normal scores (n,) of ``values``; 0 where all trained had one value."""
        wanted = np.asarray(values, dtype=np.float64)
        levels, normal = self.levels, self.normal
        if len(levels) < 2:
            return np.zeros(len(wanted))
        right = np.clip(np.searchsorted(levels, wanted), 1, len(levels) - 1)
        low, high = right - 1, right.copy()
        middle = len(levels) // 2
        below, above = wanted < levels[0], wanted > levels[-1]
        low[below], high[below] = 0, max(1, middle)
        low[above], high[above] = min(middle, len(levels) - 2), len(levels) - 1
        steep = (normal[high] - normal[low]) / (levels[high] - levels[low])
        start = np.where(above, high, low)
        return np.asarray(normal[start] + steep * (wanted - levels[start]))

    def to_json(self) -> dict[str, Any]:
        """Return the warp as JSON-serializable values."""
        return {"levels": self.levels.tolist(), "normal": self.normal.tolist()}

    @staticmethod
    def from_json(value: Any) -> Warp:
        """Return the warp that :meth:`to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        warp = Warp(*(np.array(value[key], dtype=np.float64) for key in ("levels", "normal")))
        whole = np.concatenate([warp.levels, warp.normal])
        if not (
            warp.levels.shape == warp.normal.shape == (len(whole) // 2,)
            and len(whole)
            and np.isfinite(whole).all()
            and (np.diff(warp.levels) > 0).all()
            and (np.diff(warp.normal) >= 0).all()
        ):
            raise ValueError("the scale of a score is damaged")
        return warp


def warp_of(scores: Sequence[float] | Array) -> Warp:
    """Return the warp of the scores (n,) of trained architectures."""
    levels, first = np.unique(np.asarray(scores, dtype=np.float64), return_index=True)
    return Warp(levels, normal_scores(scores)[first])
