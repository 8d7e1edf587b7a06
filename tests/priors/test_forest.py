"""A forest as arrays predicts what scikit-learn's does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from nas_search.priors.forest import from_arrays, from_sklearn, joined


def problem(seed: int, rows: int = 60, columns: int = 7) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    values = np.where(
        rng.random((rows, columns)) < 0.5,
        rng.integers(0, 4, (rows, columns)),
        rng.normal(size=(rows, columns)),
    )
    return values, values[:, 0] * values[:, 1] + rng.normal(size=rows)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from([RandomForestRegressor, ExtraTreesRegressor]),
    leaves=st.sampled_from([None, 9]),
)
def test_predictions_are_those_of_scikit_learn(seed: int, kind: Any, leaves: int | None) -> None:
    values, targets = problem(seed)
    model = kind(12, min_samples_leaf=2, max_leaf_nodes=leaves, random_state=seed)
    model.fit(values[:40], targets[:40], sample_weight=1 + np.arange(40) % 3)
    forest = from_sklearn(model)
    mean, deviation = forest.predict(values)
    each = np.stack([tree.predict(values.astype(np.float32)) for tree in model.estimators_], 1)
    np.testing.assert_allclose(mean, model.predict(values), rtol=0, atol=1e-12)
    np.testing.assert_allclose(forest.predict_trees(values), each, rtol=0, atol=1e-12)
    np.testing.assert_allclose(deviation, each.std(1), rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from([RandomForestRegressor, ExtraTreesRegressor]),
)
def test_effects_and_mean_sum_to_the_prediction(seed: int, kind: Any) -> None:
    values, targets = problem(seed)
    model = kind(12, min_samples_leaf=2, random_state=seed).fit(values[:40], targets[:40])
    forest = from_sklearn(model).compact()
    effects = forest.effects(values)
    assert effects.shape == values.shape
    np.testing.assert_allclose(
        forest.mean + effects.sum(1), forest.predict(values)[0], rtol=0, atol=1e-12
    )


def test_effects_are_the_moves_of_the_node_means_on_the_path() -> None:
    values, targets = problem(6)
    model = ExtraTreesRegressor(7, min_samples_leaf=3, random_state=0).fit(values, targets)
    expected = np.zeros_like(values)
    for row, one in enumerate(values.astype(np.float32)):
        for estimator in model.estimators_:
            tree, node = estimator.tree_, 0
            while tree.children_left[node] >= 0:
                feature = tree.feature[node]
                side = tree.children_left if one[feature] <= tree.threshold[node] else None
                child = (tree.children_right if side is None else side)[node]
                move = tree.value[child, 0, 0] - tree.value[node, 0, 0]
                expected[row, feature] += move / 7
                node = child
    np.testing.assert_allclose(from_sklearn(model).effects(values), expected, rtol=0, atol=1e-12)


def test_stored_arrays_give_the_compact_forest_again() -> None:
    values, targets = problem(3)
    forest = from_sklearn(RandomForestRegressor(10, random_state=0).fit(values, targets))
    compact = forest.compact()
    again = from_arrays(compact.to_arrays(), values.shape[1])
    np.testing.assert_array_equal(again.predict_trees(values), compact.predict_trees(values))
    assert np.abs(compact.predict(values)[0] - forest.predict(values)[0]).max() < 2e-3


def test_joined_forests_weigh_by_their_trees() -> None:
    values, targets = problem(4)
    one = from_sklearn(RandomForestRegressor(9, random_state=0).fit(values, targets))
    other = from_sklearn(RandomForestRegressor(3, random_state=1).fit(values, -targets))
    mean = joined([one, other]).predict(values)[0]
    expected = 0.75 * one.predict(values)[0] + 0.25 * other.predict(values)[0]
    np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(right=-a["right"]),
        lambda a: a.update(feature=a["feature"] + 5),
        lambda a: a.update(value=a["value"] * np.nan),
        lambda a: a.update(roots=a["roots"] + 10**6),
        lambda a: a.update(threshold=a["threshold"][:-1]),
        lambda a: a.update(right=a["right"] * 0 + 10**6),
    ],
)
def test_damaged_trees_are_refused(change: Any) -> None:
    values, targets = problem(5)
    model = RandomForestRegressor(4, random_state=0).fit(values, targets)
    arrays = from_sklearn(model).compact().to_arrays()
    change(arrays)
    with pytest.raises(ValueError, match="damaged"):
        from_arrays(arrays, values.shape[1])
