"""The regression line of scores: what a forest on few trainings cannot learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_search.priors.forest import Array
from nas_search.priors.warp import Warp, warp_of


@dataclass(frozen=True)
class Line:
    """Least squares on the normal scores of scores.

    Attributes:
        warps: of each score.
        intercept: prediction where all normal scores are 0.
        slopes: of each score.
    """

    warps: tuple[Warp, ...]
    intercept: float
    slopes: tuple[float, ...]

    def warped(self, scores: Array) -> Array:
        """Return the normal scores of scores, (rows, scores)."""
        columns = [warp(column) for warp, column in zip(self.warps, scores.T, strict=True)]
        return np.stack(columns, axis=1) if columns else np.empty((len(scores), 0))

    def parts(self, warped: Array) -> Array:
        """Return what each score adds to the intercept, (rows, scores)."""
        return np.asarray(warped * np.array(self.slopes))

    def predict(self, warped: Array) -> Array:
        """Return the predictions (rows,) from normal scores (rows, scores)."""
        total = np.full(len(warped), self.intercept)
        for column in self.parts(warped).T:
            total += column
        return total

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON-serializable values."""
        return {
            "warps": [warp.to_json() for warp in self.warps],
            "intercept": self.intercept,
            "slopes": list(self.slopes),
        }

    @staticmethod
    def from_json(value: Any, scores: int) -> Line:
        """Return the line of so many scores that :meth:`to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        line = Line(
            tuple(Warp.from_json(one) for one in value["warps"]),
            float(value["intercept"]),
            tuple(map(float, value["slopes"])),
        )
        if not (
            len(line.warps) == len(line.slopes) == scores
            and np.isfinite([line.intercept, *line.slopes]).all()
        ):
            raise ValueError("the line of its scores is damaged")
        return line


def line_of(scores: Array, targets: Array, weights: Array) -> Line:
    """Return the line of targets (n,) on scores (n, scores), trainings weighted (n,)."""
    warps = tuple(warp_of(column) for column in scores.T)
    if not warps:
        return Line((), 0.0, ())
    flat = Line(warps, 0.0, (0.0,) * len(warps))
    design = np.column_stack([np.ones(len(targets)), flat.warped(scores)])
    root = np.sqrt(weights)
    found = np.linalg.lstsq(design * root[:, None], targets * root, rcond=1e-9)[0]
    intercept, *slopes = rounded(found)
    return Line(warps, intercept, tuple(slopes))


def rounded(values: Sequence[float] | Array) -> list[float]:
    """Return values to 6 digits: the last bits of linear algebra differ between machines."""
    return [float(f"{value:.6g}") for value in values]
