"""Fronts and hypervolumes against their definitions, and the rule of the choice along a front."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.search.fronts import (
    along,
    front_numbers,
    hypervolume,
    hypervolumes,
    losses,
    ranked_by_fronts,
    reference_point,
)

OBJECTIVES = (Objective("score"), Objective("macs", minimize=True))
law = settings(max_examples=60, deadline=None, derandomize=True, database=None)
pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)
triples = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=10)


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@law
@given(st.one_of(pairs, triples))
def test_front_numbers_are_those_of_the_definition(points: list[tuple[float, ...]]) -> None:
    expected = [0] * len(points)
    number, left = 1, set(range(len(points)))
    while left:
        front = {p for p in left if not any(dominates(points[q], points[p]) for q in left)}
        for place in front:
            expected[place] = number
        number, left = number + 1, left - front
    assert front_numbers(np.array(points, dtype=float)).tolist() == expected


@law
@given(st.one_of(pairs, triples))
def test_hypervolume_is_the_share_of_the_box_that_is_dominated(
    points: list[tuple[float, ...]],
) -> None:
    everything = np.array(points, dtype=float)
    front = everything[front_numbers(everything) == 1]
    best, reference = front.min(axis=0), reference_point(front)
    share = 0.0  # summed over the grid that the coordinates of all points span
    edges = [sorted({*everything[:, m].tolist(), best[m], reference[m]}) for m in range(len(best))]
    for cell in itertools.product(*(itertools.pairwise(edge) for edge in edges)):
        low = np.array([start for start, _ in cell])
        inside = (low >= best).all() and (low < reference).all()
        if inside and (everything <= low).all(axis=1).any():
            share += float(np.prod([(stop - start) for start, stop in cell]))
    assert hypervolume(everything, front) == pytest.approx(share / np.prod(reference - best))
    assert 0 < hypervolume(everything, front) <= 1 + 1e-12


@law
@given(st.one_of(pairs, triples))
def test_the_hypervolume_grows_and_is_that_of_the_points_so_far(
    points: list[tuple[float, ...]],
) -> None:
    everything = np.array(points, dtype=float)
    front = everything[front_numbers(everything) == 1]
    grown = hypervolumes(everything, front)
    assert (np.diff(grown) >= -1e-12).all()
    for count in range(1, len(points) + 1):
        assert grown[count - 1] == pytest.approx(hypervolume(everything[:count], front))


@law
@given(st.one_of(pairs, triples))
def test_the_choice_along_a_front_takes_the_largest_gain_each_time(
    points: list[tuple[float, ...]],
) -> None:
    everything = np.array(points, dtype=float)
    front = everything[front_numbers(everything) == 1]
    order = along(front)
    assert sorted(order) == list(range(len(front)))
    for place, row in enumerate(order):
        gains = {r: hypervolume(front[[*order[:place], r]], front) for r in order[place:]}
        assert gains[row] >= max(gains.values()) - 1e-9


def test_the_choice_is_spread_over_the_front_and_begins_at_its_knee() -> None:
    front = np.array([[0.0, 10.0], [1.0, 2.0], [1.1, 1.9], [1.2, 1.8], [10.0, 0.0]])
    assert along(front)[0] in (1, 2, 3)
    assert set(along(front)[:3]) & {0, 4}
    assert along(np.zeros((0, 2))) == []


def test_fronts_of_numbers_of_any_size_are_ordered() -> None:
    for scale in (1e-12, 1.0, 1e12):
        front = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]) * [scale, 1.0]
        assert along(front)[0] == 1
        assert hypervolume(front, front) == pytest.approx(hypervolume(front / scale, front / scale))


def evaluation(score: float, macs: int | None, status: str = "ok") -> Evaluation:
    return Evaluation(f"{score}/{macs}", "", status, {"score": score}, macs=macs)  # type: ignore[arg-type]


def test_the_leaderboard_of_fronts_says_numbers_fronts_and_crowding() -> None:
    evaluations = [
        evaluation(1.0, 10),
        evaluation(float("nan"), 1),
        evaluation(2.0, 20),
        evaluation(99.0, 1, "failed"),
        evaluation(3.0, 30),
        evaluation(1.5, 25),
        evaluation(2.0, 20),  # as good as another: both are on the front
        evaluation(9.0, None),
    ]
    ranked = ranked_by_fronts(evaluations, OBJECTIVES)
    assert {(one.number, one.front) for one in ranked} == {(1, 1), (3, 1), (5, 1), (7, 1), (6, 2)}
    assert [one.front for one in ranked] == sorted(one.front for one in ranked)
    by_number = {one.number: one for one in ranked}
    assert by_number[1].crowding == by_number[5].crowding == float("inf")
    # The middle of three: half its neighbors' distance in both objectives, over the width.
    assert by_number[3].crowding + by_number[7].crowding == pytest.approx(1.0)
    assert by_number[6].values == (1.5, 25.0)
    assert ranked_by_fronts([evaluation(1.0, None)], OBJECTIVES) == []


def test_losses_change_the_sign_of_what_is_maximized() -> None:
    assert losses(OBJECTIVES, [(1.0, 2.0)]).tolist() == [[-1.0, 2.0]]
    assert losses(OBJECTIVES, []).shape == (0, 2)
