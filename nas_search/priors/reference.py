"""How a score is distributed over random architectures of a space: two fixed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from nas_search.priors.forest import Array

QUARTILES = 2 * norm.ppf(0.75)
"""Distance of the quartiles of N(0, 1)."""


@dataclass(frozen=True)
class Reference:
    """Standardizes the logarithm of a positive score.

    Sizes of networks and images that multiply the scores of all architectures alike move all of
    them by the same: their differences keep their weight beside a prior.

    Attributes:
        center: median of the log score over random architectures.
        spread: distance of its quartiles, over that of N(0, 1); above 0.
        measured: how the score was measured, e.g. data set, sizes and number of architectures.
    """

    center: float
    spread: float
    measured: str

    def standardized(self, scores: Sequence[float] | Array) -> Array:
        """Return the scores in standard deviations over random architectures, (n,).

        It grows everywhere, so no two positive scores are made equal; 0 stands for the smallest.
        """
        positive = np.maximum(np.asarray(scores, dtype=np.float64), np.finfo(np.float64).tiny)
        return np.asarray((np.log(positive) - self.center) / self.spread)

    def to_json(self) -> dict[str, Any]:
        """Return the reference as JSON-serializable values."""
        return {"center": self.center, "spread": self.spread, "measured": self.measured}

    @staticmethod
    def from_json(value: Any) -> Reference:
        """Return the reference that :meth:`to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        reference = Reference(
            float(value["center"]), float(value["spread"]), str(value["measured"])
        )
        if not (np.isfinite(reference.center) and 0 < reference.spread < np.inf):
            raise ValueError("a reference is damaged")
        return reference


def reference_of(scores: Sequence[float] | Array, measured: str) -> Reference:
    """Return the reference of positive scores (n,) of random architectures.

    Raises:
        ValueError: half of them are equal, or one is not positive.
    """
    low, center, high = np.quantile(np.log(scores), [0.25, 0.5, 0.75])
    values = {"center": center, "spread": (high - low) / QUARTILES, "measured": measured}
    return Reference.from_json(values)
