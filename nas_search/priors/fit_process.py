"""Fit a Gaussian process: the hyperparameters under which the trainings are most probable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from nas_search.priors.forest import Array
from nas_search.priors.line import rounded
from nas_search.priors.process import Hyperparameters, Process

CLOSENESS = (0.0, 1.0)
SCORE_CLOSENESS = (-1.0, 2.0)
AMPLITUDE = (0.0, 1.5)
SCORE_LINE = (-2.0, 2.0)
NOISE = (-1.2, 1.5)
"""Expected logarithm of a hyperparameter and its standard deviation, of a log-normal distribution:
few trainings alone would not hold them. Of scores little is expected and much is possible: some
are noise. Targets have the standard deviation 1."""
LARGEST = 6.0
"""Of the logarithms, on both sides."""
STEPS = 60
LARGEST_WEIGHT = 1000.0
"""Of a training, beside the mean of all; the smallest is its inverse."""


def fit_process(features: Array, scores: Array, targets: Array, weights: Array) -> Process:
    """Return the process of (n, features), (n, scores) and targets (n,), weighted (n,).

    Distances are taken of standardized features. It maximizes likelihood times the probability of
    the hyperparameters, by L-BFGS with exact gradients.
    """
    count = scores.shape[1]
    weights = np.clip(weights / weights.mean(), 1 / LARGEST_WEIGHT, LARGEST_WEIGHT)
    plain = Hyperparameters(1.0, (0.0,) * count, 1.0, (0.0,) * count, 1.0)
    given = Process(features, scores, targets, weights, plain)
    structure = 2 * (1 / given.alike(features, scores) - 1)
    apart = [(column[:, None] - column) ** 2 for column in scores.T]
    lines = [np.outer(column, column) for column in scores.T]
    standard = given.standardized(targets)
    fitted = _Posterior([structure, *apart], lines, standard, 1 / weights)
    found = minimize(
        fitted,
        fitted.expected,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LARGEST, LARGEST)] * len(fitted.expected),
        options={"maxiter": STEPS},
    ).x
    numbers = rounded(np.exp(found))
    kernel = Hyperparameters(
        closeness=numbers[0],
        score_closeness=tuple(numbers[1 : 1 + count]),
        amplitude=numbers[1 + count],
        score_lines=tuple(numbers[2 + count : 2 + 2 * count]),
        noise=numbers[-1],
    )
    return Process(features, scores, targets, weights, kernel)


class _Posterior:
    """Negative logarithm of the posterior of the logarithms of hyperparameters, and its gradient.

    They are the weights of squared distances, the amplitude, the variances of lines, the noise.

    Args:
        distances: (n, n) each, squared: of structure, then of each score.
        lines: (n, n) each, products of a score.
        targets: (n,) with a standard deviation of 1.
        noise: (n,) of each training, relative.
    """

    def __init__(
        self, distances: list[Array], lines: list[Array], targets: Array, noise: Array
    ) -> None:
        self._distances, self._lines = distances, lines
        self._targets, self._noise = targets, noise
        told = [
            CLOSENESS,
            *[SCORE_CLOSENESS] * len(lines),
            AMPLITUDE,
            *[SCORE_LINE] * len(lines),
            NOISE,
        ]
        self.expected, self._deviation = (np.array(one) for one in zip(*told, strict=True))

    def __call__(self, logs: NDArray[np.float64]) -> tuple[float, Array]:
        numbers = np.exp(logs)
        split = len(self._distances)
        near = sum(w * d for w, d in zip(numbers[:split], self._distances, strict=True))
        amplitude, noise = numbers[split], numbers[-1]
        alike = amplitude / (1 + 0.5 * near)
        straight = [
            slope * line for slope, line in zip(numbers[split + 1 : -1], self._lines, strict=True)
        ]
        total = alike + sum(straight, np.zeros_like(alike)) + np.diag(noise * self._noise)
        away = (logs - self.expected) / self._deviation
        factor = cho_factor(total, lower=True)
        solved = cho_solve(factor, self._targets)
        gain = np.outer(solved, solved) - cho_solve(factor, np.eye(len(total)))
        value = 0.5 * self._targets @ solved + np.log(np.diag(factor[0])).sum()
        by_distance = gain * alike * alike / amplitude
        slopes = [
            *(
                0.5 * weight * (by_distance * distance).sum()
                for weight, distance in zip(numbers[:split], self._distances, strict=True)
            ),
            -(gain * alike).sum(),
            *(-(gain * one).sum() for one in straight),
            -(np.diag(gain) * noise * self._noise).sum(),
        ]
        gradient = 0.5 * np.array(slopes) + away / self._deviation
        return float(value + 0.5 * (away * away).sum()), gradient
