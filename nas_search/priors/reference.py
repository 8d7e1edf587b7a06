"""How a score is distributed over random architectures of a space, as fixed quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from nas_search.priors.forest import Array

LEVELS = np.linspace(0.025, 0.975, 39)
"""Probabilities of the quantiles that are kept."""


@dataclass(frozen=True)
class Reference:
    """Maps a score to the normal score of its rank among random architectures.

    Between two quantiles the map is linear, and beyond the outer ones it goes on as over the
    outer quarter: it grows everywhere, so no two scores are made equal.

    Attributes:
        quantiles: of the score at :data:`LEVELS`, ascending.
        measured: how the score was measured, e.g. data set, sizes and number of architectures.
    """

    quantiles: tuple[float, ...]
    measured: str

    def standardized(self, scores: Sequence[float] | Array) -> Array:
        """Return the scores in standard deviations over random architectures, (n,)."""
        x, y = np.array(self.quantiles), norm.ppf(LEVELS)
        values = np.asarray(scores, dtype=np.float64)
        inside = np.interp(values, x, y)
        quarter = len(LEVELS) // 4
        low = (y[quarter] - y[0]) / (x[quarter] - x[0])
        high = (y[-1] - y[-1 - quarter]) / (x[-1] - x[-1 - quarter])
        below, above = np.minimum(values - x[0], 0), np.maximum(values - x[-1], 0)
        return np.asarray(inside + low * below + high * above)

    def to_json(self) -> dict[str, Any]:
        """Return the reference as JSON-serializable values."""
        return {"quantiles": list(self.quantiles), "measured": self.measured}

    @staticmethod
    def from_json(value: Any) -> Reference:
        """Return the reference that :meth:`to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        quantiles = tuple(map(float, value["quantiles"]))
        steps = np.diff(quantiles)
        if len(quantiles) != len(LEVELS) or not np.isfinite(quantiles).all() or (steps <= 0).any():
            raise ValueError("the quantiles of a reference are damaged")
        return Reference(quantiles, str(value["measured"]))


def reference_of(scores: Sequence[float] | Array, measured: str) -> Reference:
    """Return the reference of scores (n,) of random architectures; failures left out.

    Raises:
        ValueError: too few different scores.
    """
    quantiles = np.quantile(np.asarray(scores, dtype=np.float64), LEVELS)
    return Reference.from_json({"quantiles": quantiles.tolist(), "measured": measured})
