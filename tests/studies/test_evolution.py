"""Regularized evolution on real accuracies: as good as published, and better than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studies.evolution_vs_random import BUDGETS, SEARCHES, best_found
from tests.tables.made import read


def test_evolution_beats_random_search_at_equal_evaluations(shared_data: Path) -> None:
    # docs/search_quality.md has the same figures over 50 seeds.
    table = read("nasbench201", path=str(shared_data / "nasbench201.csv"))
    names = ("random search", "evolution, P = 10, S = 3, K = 1 (NAS-Bench-201's)")
    random, evolution = (
        np.array([best_found(table, seed, *SEARCHES[name]) for seed in range(10)]) for name in names
    )
    assert (random[..., 0] <= table.best(table.validation)).all()
    assert (np.diff(evolution[..., 0], axis=1) >= 0).all()  # more evaluations, never a worse score
    assert (evolution.mean(0)[:, 0] > random.mean(0)[:, 0]).all()
    hundred = BUDGETS.index(100)
    # Published: 93.9 / 71.8 / 45.5 and 93.7 / 71.0 / 44.6.
    assert (evolution.mean(0)[hundred, 1:] >= (93.9, 71.8, 45.5)).all()
    assert np.abs(random.mean(0)[hundred, 1:] - (93.7, 71.0, 44.6)).max() < 1.0
