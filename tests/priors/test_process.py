"""A Gaussian process on few trainings: against the textbook, fitted, the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from nas_search.priors import fit_process as fitting
from nas_search.priors.fit_process import fit_process
from nas_search.priors.process import (
    MOST_TRAININGS,
    Hyperparameters,
    Process,
    process_from_arrays,
)

KERNEL = Hyperparameters(0.7, (0.4,), 1.3, (0.2,), 0.15)


def made(count: int = 25, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Return features, the last of which never differs, scores, targets and weights."""
    rng = np.random.default_rng(seed)
    features = np.column_stack([rng.integers(0, 5, (count, 4)), np.ones(count)]).astype(float)
    scores = rng.normal(size=(count, 1))
    targets = features[:, 0] - 2 + 0.5 * scores[:, 0] + 0.1 * rng.normal(size=count)
    return features, scores, targets, rng.choice([0.5, 1.0, 4.0], count)


def test_predictions_are_those_of_the_textbook() -> None:
    """By loops over pairs and numpy's solver (Rasmussen and Williams, 2006, section 2.2)."""
    features, scores, targets, weights = made()
    new, new_scores, _, _ = made(6, seed=1)
    process = Process(features, scores, targets, weights, KERNEL)
    center = np.average(targets, weights=weights)
    scale = np.sqrt(np.average((targets - center) ** 2, weights=weights))
    spread = features[:, :4].std(0)

    def covariance(a: Any, s: float, b: Any, t: float) -> float:
        apart = 0.7 * np.mean(((a - b)[:4] / spread) ** 2) + 0.4 * (s - t) ** 2
        return float(1.3 / (1 + apart / 2) + 0.2 * s * t)

    def table(rows: Any, row_scores: Any) -> np.ndarray:
        pairs = zip(rows, row_scores[:, 0], strict=True)
        known = list(zip(features, scores[:, 0], strict=True))
        return np.array([[covariance(a, s, b, t) for b, t in known] for a, s in pairs])

    noisy = table(features, scores) + np.diag(0.15 / weights)
    between = table(new, new_scores)
    mean, deviation = process.predict(new, new_scores)
    expected = between @ np.linalg.solve(noisy, (targets - center) / scale)
    np.testing.assert_allclose(mean, center + scale * expected, rtol=1e-10)
    alone = [covariance(a, s, a, s) for a, s in zip(new, new_scores[:, 0], strict=True)]
    left = np.array(alone) - np.diag(between @ np.linalg.solve(noisy, between.T))
    np.testing.assert_allclose(deviation, scale * np.sqrt(left), rtol=1e-9)
    of_line = 0.2 * np.outer(new_scores[:, 0], scores[:, 0])
    told = of_line @ np.linalg.solve(noisy, (targets - center) / scale)
    np.testing.assert_allclose(process.from_lines(new_scores)[:, 0], scale * told, rtol=1e-9)


def test_a_prediction_does_not_depend_on_its_neighbors() -> None:
    process = fit_process(*made())
    new, scores, _, _ = made(40, seed=1)
    together = process.predict(new, scores)
    for row in range(40):
        alone = process.predict(new[row : row + 1], scores[row : row + 1])
        assert (alone[0][0], alone[1][0]) == (together[0][row], together[1][row])


def test_the_gradient_is_that_of_the_posterior() -> None:
    features, scores, targets, weights = made()
    apart = [((column[:, None] - column) ** 2) for column in (features[:, 0], scores[:, 0])]
    lines = [np.outer(scores[:, 0], scores[:, 0])]
    posterior = fitting._Posterior(apart, lines, targets / targets.std(), 1 / weights)
    at = posterior.expected + np.array([0.3, -0.4, 0.2, 0.5, -0.3])
    numeric = approx_fprime(at, lambda logs: posterior(logs)[0], 1e-6)
    np.testing.assert_allclose(posterior(at)[1], numeric, rtol=1e-4, atol=1e-4)


def test_it_learns_and_knows_what_it_does_not_know() -> None:
    features, scores, targets, weights = made(60)
    process = fit_process(features, scores, targets, weights)
    new, new_scores, truth, _ = made(200, seed=1)
    mean, deviation = process.predict(new, new_scores)
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert 0.5 < np.mean((mean - truth) ** 2 <= (deviation**2 + 0.01) * 4) <= 1
    _, far = process.predict(new + 40, new_scores)
    assert far.min() > deviation.max()


def test_only_the_ratio_of_weights_counts() -> None:
    features, scores, targets, weights = made()
    new, new_scores, _, _ = made(10, seed=1)
    told = [
        fit_process(features, scores, targets, times * weights).predict(new, new_scores)
        for times in (1.0, 8.0)
    ]
    np.testing.assert_array_equal(told[0], told[1])
    extreme = np.where(np.arange(25) == 3, 1e9, 1e-9)
    assert np.isfinite(
        fit_process(features, scores, targets, extreme).predict(new, new_scores)
    ).all()


def test_a_training_of_more_weight_is_believed_more() -> None:
    features, scores, targets, _ = made()
    targets[7] += 3
    light, heavy = (
        Process(features, scores, targets, np.where(np.arange(25) == 7, w, 1.0), KERNEL)
        for w in (0.5, 50.0)
    )
    place = (features[7:8], scores[7:8])
    assert abs(heavy.predict(*place)[0][0] - targets[7]) < 0.1
    assert abs(light.predict(*place)[0][0] - targets[7]) > 0.3
    assert heavy.predict(*place)[1] < light.predict(*place)[1]


def test_damaged_arrays_are_refused() -> None:
    process = fit_process(*made())
    arrays, kernel = process.to_arrays(), process.kernel.to_json()
    again = process_from_arrays(arrays, kernel, 5, 1)
    new, scores, _, _ = made(9, seed=1)
    np.testing.assert_array_equal(again.predict(new, scores), process.predict(new, scores))
    for name, values in arrays.items():
        broken = values.copy()
        broken.flat[3] = np.nan
        with pytest.raises(ValueError, match="damaged"):
            process_from_arrays({**arrays, name: broken}, kernel, 5, 1)
        with pytest.raises(ValueError, match="damaged"):
            process_from_arrays({**arrays, name: values[:-1]}, kernel, 5, 1)
    for key, value in {"noise": 0.0, "amplitude": -1.0, "closeness": np.nan}.items():
        with pytest.raises(ValueError, match="damaged"):
            process_from_arrays(arrays, {**kernel, key: value}, 5, 1)
    with pytest.raises(ValueError, match="damaged"):
        process_from_arrays({**arrays, "weights": -arrays["weights"]}, kernel, 5, 1)
    with pytest.raises(ValueError, match="damaged"):
        process_from_arrays(arrays, kernel, 6, 1)
    long = {name: np.repeat(one, 20, axis=0) for name, one in arrays.items()}
    assert len(long["targets"]) > MOST_TRAININGS
    with pytest.raises(ValueError, match="damaged"):
        process_from_arrays(long, kernel, 5, 1)
