"""Scores are what they were: alone and in stacks, in float64, to 1e-10."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.golden.problem import FILE, SCORES, SETTINGS, SPACES, evaluate

PINNED: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(FILE.read_text(encoding="utf-8"))

LOOSER = {
    # The sign of a gradient that is zero but for rounding is noise: some in a thousand.
    "gradsign": 1e-2,
    "gradsign_mean": 1e-2,
    # Entropy of eigenvalues some of which are zero but for rounding.
    "vkdnw": 1e-6,
}
"""Relative difference of scores that count what is nothing but rounding."""

TIED = {("nasbench101", number) for number in (2, 6, 7)}
"""Networks that pool what 1 x 1 convolutions made of pooled maps, so of neighbors that are equal.

Equal but for rounding, which differs between kinds of processors: it decides which of them the
gradient takes.
"""
OF_TIED = 3e-2
"""Relative difference of their scores."""

ROUNDING = {("frozen_all", "dextr")}
"""Settings in which a score is mostly rounding: frozen statistics of one image."""


def reading(name: str, value: float) -> float:
    """Return what was computed: a condition number is one over the smallest eigenvalue's share."""
    return 1 / value if name == "ntk_cond" else value


def test_every_score_and_space_is_pinned() -> None:
    assert set(PINNED) == set(SPACES)
    for of_space in PINNED.values():
        assert set(of_space) == set(SETTINGS)
        alive = {name for of_one in of_space["own"] for name in of_one["scores"]}
        assert alive == set(SCORES)


def cases() -> list[Any]:
    """Return (space, setting, stack); those after the first of each space are slow."""
    found = []
    for space, setting, stack in itertools.product(SPACES, SETTINGS, (0, 3, 8)):
        fast = (setting, stack) == ("own", 0)
        found.append(pytest.param(space, setting, stack, marks=[] if fast else pytest.mark.slow))
    return found


@pytest.mark.parametrize(("space", "setting", "stack"), cases())
def test_scores_are_what_they_were(space: str, setting: str, stack: int) -> None:
    pinned = PINNED[space][setting]
    seen = evaluate(space, setting, [one["genotype"] for one in pinned], stack)
    for number, (now, then) in enumerate(zip(seen, pinned, strict=True)):
        for key in ("status", "reason", "params", "macs"):
            assert now[key] == then[key], then["genotype"]
        names = {name for name in now["scores"] if (setting, name) not in ROUNDING}
        assert names == set(then["scores"]), then["genotype"]
        for name, value in then["scores"].items():
            relative = LOOSER.get(name, OF_TIED if (space, number) in TIED else 1e-10)
            expected = pytest.approx(reading(name, value), rel=relative, abs=1e-10)
            assert reading(name, now["scores"][name]) == expected, (name, then["genotype"])
