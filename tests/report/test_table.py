"""The leaderboard in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nas_search.core.evaluation import Evaluation
from nas_search.report import leaderboard_table

TRAINED = {"predicted": 1.234, "uncertainty": 0.412, "trained_accuracy": 83.21}
UNTRAINED = {"predicted": -1.5, "uncertainty": 0.3, "trained_accuracy": None}


@pytest.mark.parametrize("score", ["gradalign", "gradalign_prior"])
@pytest.mark.parametrize("more", [{}, {"c10_test_200": 93.2}])
def test_no_heading_breaks_within_a_word_at_80_columns(score: str, more: dict[str, float]) -> None:
    scored = Evaluation("g", "k", "ok", {score: 2461.6}, params=2_347_222, macs=382_111_222)
    ranked = [(12, scored), (1203, scored)]
    out = io.StringIO()
    table = leaderboard_table(ranked, score, 10, [{**TRAINED, **more}, {**UNTRAINED, **more}])
    Console(file=out, width=80).print(table)
    heading, rows = out.getvalue().split("─", 1)
    words = set(heading.split())
    for name in (score, "predicted", "trained_accuracy", *more):
        *starts, last = name.split("_")
        assert {last, *(f"{one}_" for one in starts)} <= words
    assert {"rank", "params", "MACs", "found", "as", "no."} <= words
    first, second = (line.split() for line in rows.strip("─\n ").splitlines()[-2:])
    assert first[:6] == ["1", "2461.6", "1.23", "+-", "0.41", "83.21"] and first[-1] == "12"
    assert second[2:6] == ["-1.50", "+-", "0.30", "?"]
    assert max(map(len, out.getvalue().splitlines())) <= 80


@pytest.mark.parametrize(("deployed", "shown"), [(2_347_222, False), (3_000_000, True)])
def test_a_cost_of_the_scored_network_has_one_column(deployed: int, shown: bool) -> None:
    costs = {"params": float(deployed), "flash": 8_123_456.0}
    scored = Evaluation("g", "k", "ok", {"s": 1.0}, params=2_347_222, macs=382_111, costs=costs)
    out = io.StringIO()
    Console(file=out, width=80).print(leaderboard_table([(1, scored)], "s", 10))
    heading = out.getvalue().split("─", 1)[0].split()
    assert heading.count("params") == 1 + shown
    assert heading.count("cost_") == 1 + shown and "flash" in heading
    assert out.getvalue().count("2.35 M") == 1 and ("3 M" in out.getvalue()) == shown
