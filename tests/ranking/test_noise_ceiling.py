"""The noise ceiling against simulated trainings whose true means are known, and a real table."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nas_search.ranking import noise_ceiling as module
from nas_search.ranking.equal_size import equal_size_pairs
from nas_search.ranking.noise_ceiling import noise_ceiling, noise_of, training_variance
from nas_search.tables import Array
from nas_search.tables.repeats import Repeats, means_and_repeats
from tests.tables.made import read

SHAPES = {
    "normal": lambda rng, n: rng.normal(90, 1, size=n),
    "a tail of bad ones": lambda rng, n: 94 - 3 * rng.gamma(0.7, size=n),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("noise", [0.1, 0.5, 1.5])
def test_ceiling_is_what_the_true_means_reach(shape: str, noise: float) -> None:
    n, trainings, estimated, reached, naive = 300, 3, [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth = SHAPES[shape](rng, n)
        deviation = noise * (1 + 0.1 * (truth.max() - truth))  # bad networks vary more
        sizes = np.exp(0.3 * (0.4 * (truth - truth.mean()) + rng.normal(size=n)))
        runs = truth[:, None] + deviation[:, None] * rng.normal(size=(n, trainings))
        means, repeats = means_and_repeats(runs.ravel(), np.repeat(np.arange(n), trainings), n)
        variance = training_variance(means, repeats, means)
        again = means + np.sqrt(variance / trainings) * rng.normal(size=n)
        naive.append([equal_size_pairs(means, again, sizes, w).share for w in (0.1, math.inf)])
        once = truth + deviation * rng.normal(size=n)
        for within in (0.1, math.inf):
            ceiling = noise_ceiling(means, variance, repeats.trainings, sizes, within)
            estimated.append(ceiling)
            reached.append(
                [equal_size_pairs(truth, judge, sizes, within).share for judge in (means, once)]
            )
    assert np.mean(estimated, axis=0) == pytest.approx(np.mean(reached, axis=0), abs=0.02)
    if noise > 1:  # taking the accuracies for the truth promises too much
        assert np.mean(naive) > np.mean(reached, axis=0)[0] + 0.03


def test_equal_networks_allow_a_coin_and_exact_trainings_everything() -> None:
    rng = np.random.default_rng(0)
    sizes, ones = np.ones(400), np.ones(400)
    same = noise_ceiling(rng.normal(size=400), ones, ones, sizes, 0.1)
    assert same.share == pytest.approx(0.5, abs=0.06)
    far = noise_ceiling(np.arange(400.0), 1e-6 * ones, ones, sizes, 0.1)
    assert far.share == pytest.approx(1, abs=1e-6)
    assert math.isnan(noise_ceiling(np.arange(400.0), 0 * ones, ones, sizes, 0.1).share)


def test_variance_is_the_mean_over_networks_of_similar_accuracy() -> None:
    accuracies = np.arange(200.0)
    variance = np.where(accuracies < 100, 4.0, 1.0)
    freedom = np.where(np.arange(200) % 2, 2.0, 0.0)  # half of them were trained once
    repeats = Repeats(variance * (freedom > 0), freedom, np.where(freedom > 0, 3.0, 1.0))
    result = training_variance(accuracies, repeats, np.array([0.0, 20.0, 100.0, 199.0]))
    assert result == pytest.approx([4, 4, 2.5, 1])


def test_pairs_of_large_tables_are_counted_on_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    accuracies, ones = rng.normal(90, 2, size=3000), np.ones(3000)
    every = noise_ceiling(accuracies, ones, ones, ones, math.inf)
    monkeypatch.setattr(module, "MAX_ROWS", 500)
    assert noise_ceiling(accuracies, ones, ones, ones, math.inf).share == pytest.approx(
        every.share, abs=0.005
    )


@pytest.mark.slow
def test_two_trainings_of_the_same_cells_agree_as_predicted(shared_data: Path) -> None:
    """Isomorphic cells of NAS-Bench-201 were trained separately: how far do they agree?"""
    table = read("nasbench201", path=str(shared_data / "nasbench201.csv"))
    column = "c10_test_200"
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(table.architectures):
        groups.setdefault(table.space.canonical(cell), []).append(row)
    first, second = np.array([rows[:2] for rows in groups.values() if len(rows) > 1]).T
    noise = noise_of(table, column, first.tolist())
    assert noise is not None
    accuracies = table.columns[column]
    counts = module._differences(accuracies[first], noise.variance, np.ones(len(first)), 0.1)
    true: Array = np.arange(len(counts), dtype=np.float64) * module.STEP
    right = stats.norm.cdf(true)
    agree = module._true_differences(counts, true) / counts.sum() @ (right**2 + (1 - right) ** 2)
    measured = equal_size_pairs(accuracies[first], accuracies[second], np.ones(len(first))).share
    assert agree == pytest.approx(measured, abs=0.01)
