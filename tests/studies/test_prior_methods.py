"""Models that could order cells after few trainings: the measure, and the page's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas_search.priors.forest import Array
from studies import prior_methods as study
from studies.result_files import RESULTS, read_rows

PAGE = Path(__file__).parents[2] / "docs" / "prior.md"


def made(count: int = 160, networks: int = 160) -> study.Cells:
    """Return cells whose accuracy is a line of one feature and of the score."""
    rng = np.random.default_rng(0)
    features = rng.integers(0, 5, (count, 6)).astype(float)
    score = rng.normal(size=count)
    every = np.ones(count, dtype=bool)
    network = np.arange(count) % networks
    accuracy = features[:, 0] + score
    return study.Cells(network, features, score, accuracy, np.ones(count), every, every)


@pytest.mark.parametrize("name", list(study.METHODS))
def test_every_method_learns_structure_and_score(name: str) -> None:
    cells = made()
    assert study.one_draw(cells, study.METHODS[name], 40, 0, "made") > 0.75
    assert study.one_draw(cells, study.METHODS[name], 40, 0, "made") == pytest.approx(
        study.one_draw(cells, study.METHODS[name], 40, 0, "made")
    )


def test_no_network_judges_that_was_learned_from() -> None:
    cells = made(networks=80)  # every network twice
    seen: list[int] = []

    def remember(x: Array, s: object, y: object, x2: Array, s2: object) -> Array:
        seen.append(len(x2))
        return np.zeros(len(x2))

    share = study.one_draw(cells, remember, 40, 0, "made")
    assert share == 0.5  # ties
    trained = np.random.default_rng([0, 40, *b"made"]).choice(160, 40, replace=False)
    assert seen == [160 - 2 * len(np.unique(cells.network[trained]))]


def test_pairs_of_other_sizes_do_not_count() -> None:
    accuracy, params = np.array([1.0, 2.0, 3.0]), np.array([100.0, 105.0, 200.0])
    assert study.pairs(np.array([0.0, 1.0, -1.0]), accuracy, params) == 1.0
    assert study.pairs(np.array([1.0, 0.0, 2.0]), accuracy, params) == 0.0


def test_the_page_shows_the_results() -> None:
    rows = read_rows(RESULTS / "prior_methods.csv")
    begin, end = "<!-- prior methods: begin -->\n", "<!-- prior methods: end -->\n"
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(begin)[1].split(end)[0] == study.shown(rows) != ""
