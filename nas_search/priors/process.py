"""A Gaussian process on few trainings, as plain arrays; it predicts elementwise, by numpy.

The kernel is a rational quadratic of distances, 1 / (1 + d / 2), in standardized features, with one
length, and in scores, with a length each; beside it every score has a straight line. No library's
order of sums, no fused multiplication and no exponential goes into a prediction, so it is the same
to the last bit on every machine and whatever it is predicted together with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_search.priors.forest import Array

MOST_TRAININGS = 400
"""A process is a sum over its trainings, and fitted in the cube of their number; with more of them
a forest alone is as good (docs/prior.md)."""


@dataclass(frozen=True)
class Hyperparameters:
    """What the trainings say of how alike networks are; of targets with a standard deviation of 1.

    Attributes:
        closeness: weight of the mean squared distance in standardized features, above 0.
        score_closeness: the same of each score.
        amplitude: variance of what distances tell, above 0.
        score_lines: variance of the slope of each score's line, 0 or more.
        noise: variance of a training of weight 1, above 0.
    """

    closeness: float
    score_closeness: tuple[float, ...]
    amplitude: float
    score_lines: tuple[float, ...]
    noise: float

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON-serializable values."""
        return {
            "closeness": self.closeness,
            "score_closeness": list(self.score_closeness),
            "amplitude": self.amplitude,
            "score_lines": list(self.score_lines),
            "noise": self.noise,
        }

    @staticmethod
    def from_json(value: Any) -> Hyperparameters:
        """Return what :meth:`to_json` gave.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        found = Hyperparameters(
            float(value["closeness"]),
            tuple(map(float, value["score_closeness"])),
            float(value["amplitude"]),
            tuple(map(float, value["score_lines"])),
            float(value["noise"]),
        )
        positive = [found.closeness, found.amplitude, found.noise, *found.score_closeness]
        every = np.array([*positive, *found.score_lines])
        if not (min(positive) > 0 and (every >= 0).all() and (every < 1e6).all()):
            raise ValueError("the numbers of a process are damaged")
        return found


@dataclass(frozen=True)
class Process:
    """A Gaussian process given its trainings.

    Attributes:
        features: (n, features) of structure, as they are computed.
        scores: (n, scores) normal scores, see :class:`.Warp`.
        targets: (n,) normal scores of the accuracies.
        weights: (n,) of the trainings, above 0: the noise of one is divided by its weight.
        kernel: what they say of how alike networks are.
    """

    features: Array
    scores: Array
    targets: Array
    weights: Array
    kernel: Hyperparameters

    def predict(self, features: Array, scores: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation, (rows,) each, for (rows, features), (rows, scores).

        The deviation is that of what a network is worth, without the noise of a training.
        """
        alike, lines = self.alike(features, scores), self._lines(scores)
        mean, told = self._solved(alike + lines)
        prior = np.full(len(features), self.kernel.amplitude)
        for slope, own in zip(self.kernel.score_lines, scores.T, strict=True):
            prior += slope * own * own
        scale = self._scale
        return self.mean + scale * mean, scale * np.sqrt(np.maximum(prior - told, 0))

    @property
    def mean(self) -> float:
        """Mean of the trainings: what is expected far from all of them."""
        return self._center

    def solve(self) -> None:
        """Do what all predictions have in common, once.

        Raises:
            ValueError: its numbers are damaged, there are no predictions.
        """
        left, solved = self._factor
        if not (np.isfinite(left).all() and np.isfinite(solved).all()):
            raise ValueError("a process is damaged")

    def standardized(self, targets: Array) -> Array:
        """Return targets (n,) with the mean 0 and the standard deviation 1, by weights."""
        return (targets - self._center) / self._scale

    def from_lines(self, scores: Array) -> Array:
        """Return the part of the prediction that is the line of each score, (rows, scores)."""
        parts = np.zeros(scores.shape)
        for number, slope in enumerate(self.kernel.score_lines):
            own = self.scores[:, number, None] * scores[:, number]
            parts[:, number] = self._scale * self._solved(slope * own)[0]
        return parts

    def alike(self, features: Array, scores: Array) -> Array:
        """Return how alike rows and trainings are, (n, rows): amplitude if they are equal."""
        kernel = self.kernel
        near = np.zeros((len(self.features), len(features)))
        for own, others in zip(
            self._scaled(self.features).T, self._scaled(features).T, strict=True
        ):
            apart = own[:, None] - others
            near += apart * apart
        near *= kernel.closeness / max(1, len(self._kept))
        for weight, own, others in zip(
            kernel.score_closeness, self.scores.T, scores.T, strict=True
        ):
            apart = own[:, None] - others
            near += weight * (apart * apart)
        return kernel.amplitude / (1 + 0.5 * near)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays as they are stored."""
        return {
            "features": self.features,
            "scores": self.scores,
            "targets": self.targets,
            "weights": self.weights,
        }

    def _lines(self, scores: Array) -> Array:
        """Return the covariance (n, rows) that the lines of the scores add."""
        found = np.zeros((len(self.features), len(scores)))
        for slope, own, others in zip(
            self.kernel.score_lines, self.scores.T, scores.T, strict=True
        ):
            found += slope * (own[:, None] * others)
        return found

    @cached_property
    def _kept(self) -> NDArray[np.int64]:
        """Features that differ among the trainings; another one says nothing."""
        return np.flatnonzero(np.ptp(self.features, axis=0) > 0)

    @cached_property
    def _standard(self) -> tuple[Array, Array]:
        """Mean and standard deviation of those features, summed training by training."""
        center = _sum(self.features[:, self._kept]) / len(self.features)
        apart = self.features[:, self._kept] - center
        return center, np.sqrt(_sum(apart * apart) / len(self.features))

    def _scaled(self, features: Array) -> Array:
        center, spread = self._standard
        return (features[:, self._kept] - center) / spread

    @cached_property
    def _center(self) -> float:
        total = _sum(np.column_stack([self.weights, self.weights * self.targets]))
        return float(total[1] / total[0])

    @cached_property
    def _scale(self) -> float:
        apart = self.targets - self._center
        total = _sum(np.column_stack([self.weights, self.weights * (apart * apart)]))
        return float(np.sqrt(total[1] / total[0])) or 1.0

    @cached_property
    def _factor(self) -> tuple[Array, Array]:
        """Cholesky factor (n, n) of the covariance, and the targets solved by it (n,)."""
        left = self.alike(self.features, self.scores) + self._lines(self.scores)
        left[np.diag_indices(len(left))] += self.kernel.noise / self.weights
        for column in range(len(left)):
            left[column, column] = np.sqrt(max(left[column, column], 0))
            below = left[column + 1 :, column]
            below /= left[column, column]
            left[column + 1 :, column + 1 :] -= below[:, None] * below
        solved = self.standardized(self.targets)
        for number in range(len(left)):
            solved[number] /= left[number, number]
            solved[number + 1 :] -= left[number + 1 :, number] * solved[number]
        return left, solved

    def _solved(self, covariance: Array) -> tuple[Array, Array]:
        """Return mean, and the variance that trainings take away, of (n, rows); (rows,) each."""
        left, targets = self._factor
        rest = covariance.copy()
        mean, told = np.zeros(rest.shape[1]), np.zeros(rest.shape[1])
        for number in range(len(left)):
            one = rest[number] / left[number, number]
            mean += one * targets[number]
            told += one * one
            rest[number + 1 :] -= left[number + 1 :, number, None] * one
        return mean, told


def process_from_arrays(
    arrays: Mapping[str, NDArray[Any]], kernel: Any, features: int, scores: int
) -> Process:
    """Return the process that :meth:`Process.to_arrays` and :meth:`Hyperparameters.to_json` gave.

    Args:
        arrays: by name.
        kernel: JSON of its hyperparameters.
        features: number of features.
        scores: number of scores.

    Raises:
        ValueError, TypeError, KeyError: they are no process of so many features and scores.
    """
    process = Process(
        features=arrays["features"].astype(np.float64),
        scores=arrays["scores"].astype(np.float64),
        targets=arrays["targets"].astype(np.float64),
        weights=arrays["weights"].astype(np.float64),
        kernel=Hyperparameters.from_json(kernel),
    )
    n = len(process.targets)
    shapes = [process.features.shape, process.scores.shape, process.weights.shape]
    sound = (
        0 < n <= MOST_TRAININGS
        and shapes == [(n, features), (n, scores), (n,)]
        and len(process.kernel.score_lines) == len(process.kernel.score_closeness) == scores
        and all(
            np.isfinite(one).all() and np.abs(one).max(initial=0) < 1e9
            for one in process.to_arrays().values()
        )
        and process.weights.min() > 0
    )
    if not sound:
        raise ValueError("its process is damaged")
    process.solve()
    return process


def _sum(values: Array) -> Array:
    """Return the sum of rows (n, k), one after another: numpy's own order depends on the shape."""
    total = np.zeros(values.shape[1])
    for row in values:
        total += row
    return total
