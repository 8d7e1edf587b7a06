"""Scores that come out for a whole stack are those of each candidate, whatever goes wrong."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from nas_search.proxies import PROXIES, Measurement
from nas_search.scoring.formula import NoNumber
from nas_search.scoring.measure import Measuring, measure
from nas_search.scoring.tally import Tally, take_scores
from tests.scoring.problem import task

CELLS = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|",
    "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
]
NAMES = ["gradalign", "gradalign_i_layerwise", "gradalign_ii_layerwise"]


def measured(name: str) -> list[Measurement]:
    problem = task(proxies=(name,))
    kinds = PROXIES.get(name).needs
    networks = (problem.build(problem.space.parse(text)).double() for text in CELLS)
    images = problem.images.double()
    return [measure(own, images, problem.labels, Measuring("frozen"), kinds) for own in networks]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_those_of_each_alone(name: str) -> None:
    record, seen = PROXIES.get(name), measured(name)
    assert record.scores is not None
    assert record.scores(*seen) == pytest.approx([record.score(one) for one in seen], rel=1e-13)


def test_what_fails_together_is_scored_alone() -> None:
    record, seen = PROXIES.get("gradalign"), measured("gradalign")
    expected = [record.score(one) for one in seen]

    def broken(*measurements: Measurement) -> list[float]:
        raise ValueError("some of them")

    def short(*measurements: Measurement) -> list[float]:
        return [1.0]

    for scores in (broken, short):
        assert taken(replace(record, scores=scores), seen) == pytest.approx(expected, rel=1e-13)


def test_a_candidate_without_results_leaves_the_others() -> None:
    record, seen = PROXIES.get("gradalign"), measured("gradalign")
    lost = Measurement(failures=dict.fromkeys(record.needs, NoNumber("lost")))
    first, none, last = taken(record, [seen[0], lost, seen[1]])
    assert none is None
    assert [first, last] == pytest.approx([record.score(one) for one in seen], rel=1e-13)


def taken(record: Any, measurements: list[Measurement]) -> list[float | None]:
    tallies = [Tally(("gradalign",), 1) for _ in measurements]
    take_scores(tallies, measurements, [record])
    return [tally.scores().get("gradalign") for tally in tallies]


@pytest.mark.parametrize("name", NAMES)
def test_their_records_reach_other_processes(name: str) -> None:
    record, seen = pickle.loads(pickle.dumps(PROXIES.get(name))), measured(name)
    assert record.score(seen[0]) == PROXIES.get(name).score(seen[0])
