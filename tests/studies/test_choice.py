"""The choice of a form by random halves finds the right one and is judged on unseen ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from studies import search_tables
from studies.choice import (
    FIXED,
    MEASURES,
    average,
    candidates,
    on_all,
    on_other_halves,
    splits,
    worst,
)
from studies.forms import GRID

PLACES = tuple(dict.fromkeys(m.place for m in MEASURES))


def made(right: str | None, power: float, count: int) -> dict[str, dict[str, np.ndarray]]:
    """Return scores of noise, but of ``right``: times D^power it orders as the accuracies do."""
    rng = np.random.default_rng(0)
    sets = {}
    for place in PLACES:
        depth, accuracy = rng.uniform(1, 50, count), rng.uniform(1, 99, count)
        scores = {name: rng.random(count) for name in (*GRID, *FIXED)} | {"depth": depth}
        if right:
            scores[right] = accuracy / depth**power
        sets[place] = scores | {m.column: accuracy for m in MEASURES}
    return sets


def test_the_right_form_is_chosen_in_every_split() -> None:
    right = list(GRID)[7]
    sets = made(right, 0.25, 30)
    chosen, values = splits(*candidates(sets), sets, 3)
    assert all(count == {f"{right}_depth_250": 3} for count in chosen.values())
    for title in chosen:
        np.testing.assert_allclose(values[title], 1.0)
    assert all(np.abs(values[name]).max() < 0.9 for name in FIXED)


@pytest.mark.slow
def test_where_nothing_ranks_the_unseen_half_says_so() -> None:
    """Of many candidates of noise the best looks good on 20 architectures, but only there."""
    sets = made(None, 0.0, 40)
    _, values = splits(*candidates(sets), sets, 12)
    for title in values:
        assert abs(values[title].mean()) < 0.15


def test_what_the_rules_prefer() -> None:
    ratios = np.array([[0.5, 1.5, 1.5, 1.5, 1.5], [0.9, 0.9, 0.9, 0.9, 0.9]])
    assert worst(ratios).argmax() == 1
    np.testing.assert_allclose(average(ratios), [(0.5 + 1.5 + 1.5) / 3, 0.9])


def test_the_tables_tell_what_was_chosen_from_what_was_not() -> None:
    values = {"a rule": np.array([[0.5] * 6, [0.7] * 6]), "params": np.array([[0.25] * 6] * 2)}
    rows = list(on_other_halves(values))
    assert search_tables.choice(rows).splitlines()[2:] == [
        f"| a rule |{' .600 +- .141 |' * 6}",
        f"| `params`, not chosen |{' .250 +- .000 |' * 6}",
    ]
    on_everything = {"form": [0.1 * i for i in range(6)], **dict.fromkeys(FIXED, [0.5] * 6)}
    rows = [*rows, *on_all({"a rule": Counter(form=3)}, on_everything, 4)]
    rows.sort(key=lambda row: row["place"])  # the order of the kept file
    assert search_tables.chosen(rows).splitlines()[2:] == [
        "| a rule | `form` | 75 % | .000 | .100 | .200 | .300 | .400 | .500 |",
        *(f"| - | `{name}` | - |{' .500 |' * 6}" for name in FIXED),
    ]
