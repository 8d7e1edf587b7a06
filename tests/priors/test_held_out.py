"""Figures of held-out architectures against loops over all pairs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from nas_search.priors.held_out import cross_validated, judged


def test_pairs_of_equal_size_are_counted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 5, 40).astype(float)
    accuracy = predicted + rng.integers(-3, 3, 40)
    params = rng.uniform(100, 140, 40)
    right, counted = 0.0, 0
    for i, j in itertools.combinations(range(40), 2):
        if (
            abs(params[i] - params[j]) / max(params[i], params[j]) > 0.1
            or accuracy[i] == accuracy[j]
        ):
            continue
        counted += 1
        product = (predicted[i] - predicted[j]) * (accuracy[i] - accuracy[j])
        right += 0.5 if product == 0 else float(product > 0)
    figure = judged("made", "made", predicted, accuracy, params)
    assert figure.pairs == pytest.approx(right / counted)
    assert figure.pairs_low < figure.pairs < figure.pairs_high and figure.n == 40
    assert judged("made", "made", accuracy, accuracy, params).pairs == 1
    assert judged("made", "made", -accuracy, accuracy).pairs == 0


def test_no_network_is_predicted_by_a_fit_that_saw_it() -> None:
    keys = [f"network {number // 2}" for number in range(60)]
    rows = np.arange(0, 60, 3)
    asked = []

    def predict(train: Any, test: Any) -> Any:
        assert not {keys[i] for i in np.flatnonzero(train)} & {
            keys[i] for i in np.flatnonzero(test)
        }
        asked.extend(np.flatnonzero(test).tolist())
        return np.flatnonzero(test).astype(float)

    np.testing.assert_array_equal(cross_validated(keys, rows, predict), rows)
    assert sorted(asked) == rows.tolist()
