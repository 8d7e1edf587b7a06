"""Scores as normal scores, and their line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from nas_search.priors.line import Line, line_of
from nas_search.priors.warp import Warp, normal_scores, warp_of

NUMBERS = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=30)


@given(NUMBERS, st.lists(st.integers(-3000, 3000).map(lambda n: n / 2), min_size=2, max_size=20))
def test_a_warp_keeps_the_order_and_meets_the_normal_scores(
    trained: list[float], others: list[float]
) -> None:
    warp = warp_of(trained)
    np.testing.assert_allclose(warp(trained), normal_scores(trained), atol=1e-12)
    wanted = np.unique(others)
    told = warp(wanted)
    assert np.isfinite(told).all()
    steps = np.diff(told)
    assert (steps > 0).all() if len(set(trained)) > 1 else not told.any()


def test_beyond_the_trained_it_goes_on_as_from_the_median() -> None:
    warp = warp_of([-1000.0, 1.0, 2.0, 3.0, 5.0])
    high = normal_scores([0, 1, 2, 3, 4])[4]
    np.testing.assert_allclose(warp([5.0, 8.0, 11.0]), [high, 2 * high, 3 * high])
    np.testing.assert_allclose(warp([-1000.0, -2002.0]), [-high, -2 * high])
    np.testing.assert_allclose(warp([1.5, 4.0]), (warp([1.0, 3.0]) + warp([2.0, 5.0])) / 2)


def test_the_line_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    scores, weights = np.exp(rng.normal(size=(40, 2))), rng.uniform(0.5, 4, 40)
    line = line_of(scores, targets := np.log(scores[:, 0]) + rng.normal(size=40), weights)
    warped = line.warped(scores)
    expected = LinearRegression().fit(warped, targets, weights)
    np.testing.assert_allclose(line.predict(warped), expected.predict(warped), atol=1e-4)
    again = Line.from_json(line.to_json(), 2)
    np.testing.assert_array_equal(again.predict(again.warped(scores)), line.predict(warped))


def test_a_score_that_never_differs_has_no_line() -> None:
    line = line_of(np.ones((10, 1)), np.arange(10.0), np.ones(10))
    assert line.slopes == (0.0,) and line.intercept == pytest.approx(4.5)
    none = line_of(np.empty((10, 0)), np.arange(10.0), np.ones(10))
    assert none.predict(none.warped(np.empty((3, 0)))).tolist() == [0, 0, 0]


def test_damaged_ones_are_refused() -> None:
    told = line_of(np.arange(5.0)[:, None], np.arange(5.0), np.ones(5)).to_json()
    with pytest.raises(ValueError, match="damaged"):
        Line.from_json(told, 2)
    with pytest.raises(ValueError, match="damaged"):
        Line.from_json({**told, "slopes": [float("nan")]}, 1)
    for levels in ([0.0, 2.0, 1.0, 3.0, 4.0], [0.0, 1.0], [], [0.0, 1.0, 2.0, 3.0, float("inf")]):
        with pytest.raises(ValueError, match="damaged"):
            Warp.from_json({"levels": levels, "normal": told["warps"][0]["normal"]})
