"""What is said of trainings of equal size."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from scipy import stats

import nas_search
from nas_search.__main__ import main
from nas_search.priors import shipped_prior
from nas_search.runs import open_run
from nas_search.spaces import SPACES
from studies.equal_size_trainings import (
    BOUND,
    CLASSES,
    IMAGE,
    LEAST,
    RANDOM,
    best,
    by_cell,
    by_group,
    draw,
    picture,
    report,
)
from studies.result_files import read_rows


def rows(groups: dict[str, np.ndarray]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return cells and trainings of groups of accuracies, (cells, seeds) each."""
    cells, trainings = [], []
    for group, accuracies in groups.items():
        for number, of_cell in enumerate(accuracies):
            text = f"{group} {number}"
            cells.append({"group": group, "number": str(number), "genotype": text})
            for seed, accuracy in enumerate(of_cell):
                trainings.append(
                    {"genotype": text, "params": "69000", "seed": str(seed)}
                    | {"test_accuracy": f"{accuracy:.4f}"}
                )
    return cells, trainings


def test_groups_are_compared_by_their_cells() -> None:
    rng = np.random.default_rng(0)
    groups = {"random": rng.normal(62, 1, (12, 2)), "found": rng.normal(63, 1, (6, 2))}
    text = report(*rows(groups))
    line = next(line for line in text.splitlines() if line.startswith("| found"))
    found, random = (np.round(groups[name], 4).mean(1) for name in ("found", "random"))
    welch = stats.ttest_ind(found, random, equal_var=False, alternative="greater")
    assert f"{found.mean() - random.mean():+.2f} +- " in line
    assert float(line.split("|")[-2]) == pytest.approx(1 - welch.pvalue, abs=6e-4)


def test_two_choices_from_the_same_searches_are_compared_search_by_search() -> None:
    rng = np.random.default_rng(0)
    searches = rng.normal(62, 3, (6, 1))
    chosen = searches + np.array([[2.0], [1.0], [3.0], [2.0], [1.5], [-0.5]])
    cells, trainings = rows({"found": np.hstack([searches] * 2), "found, by prior": chosen})
    text = report(cells, trainings)
    assert "same 6 searches by found" in text and "in 5 of 6" in text
    assert "by +1.50 +- 0.48 points (p = 0.027" in text
    text = report(cells, [one for one in trainings if one["genotype"] != "found, by prior 5"])
    assert "same 5 searches" in text and "by +1.90 +- 0.33 points" in text


def test_a_group_that_is_not_trained_yet_says_how_far_it_is() -> None:
    rng = np.random.default_rng(0)
    groups = {"random": rng.normal(62, 1, (12, 1)), "found": rng.normal(63, 1, (6, 1))}
    cells, trainings = rows(groups)
    text = report(
        cells, [one for one in trainings if one["genotype"] not in ("found 4", "found 5")]
    )
    assert "| found | 4 of 6 so far |" in text and "| random | 12 |" in text


def test_the_picture_has_every_cell_and_the_interval_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    groups = {"random": rng.normal(62, 1, (12, 2)), "found": rng.normal(63, 1, (6, 2))}
    cells, trainings = rows(groups | {"DARTS_V2": np.array([[61.0, 62.0]])})
    (axes,) = picture(by_group(cells, by_cell(trainings))).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["DARTS_V2", "random", "found"]
    points = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert sorted(np.size(values) for values in points) == [1, 6, 12]
    _, of_found = (one for one in axes.containers if isinstance(one, ErrorbarContainer))
    (bars,) = of_found.lines[2]
    (segment,) = bars.get_segments()
    found = groups["found"].mean(1)
    wanted = stats.t.interval(0.95, 5, found.mean(), stats.sem(found))
    assert segment[:, 0] == pytest.approx(wanted, abs=1e-3)


def test_seeds_that_agree_are_told_from_seeds_that_do_not() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(62, 2, (12, 1))
    same = report(*rows({"random": np.hstack([true, true + 0.01])}))
    assert "Spearman's rho 1.00; a seed moves an accuracy by 0.00 points" in same
    other = report(*rows({"random": rng.normal(62, 2, (12, 2))}))
    assert "rho 1.00" not in other


def test_drawn_cells_have_the_size_of_the_bound(tmp_path: Path) -> None:
    macro = {"cells": 8, "channels": 8}
    draw(tmp_path / "cells.csv", macro)
    space = SPACES.get("darts").space()
    bound = space.cost(space.parse(BOUND), IMAGE, CLASSES, **macro).params
    drawn = [row for row in read_rows(tmp_path / "cells.csv") if row["group"] == "random"]
    sizes = [
        space.cost(space.parse(row["genotype"]), IMAGE, CLASSES, **macro).params for row in drawn
    ]
    assert len({row["genotype"] for row in drawn}) == RANDOM
    assert all(LEAST * bound <= size <= bound for size in sizes)


@pytest.mark.slow
def test_the_best_by_a_prior_is_among_what_a_search_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    command = ["search_space=darts", "proxy=params", "budget.evaluations=8", "executor=inline"]
    command += ["search_space.cells=3", "search_space.channels=2", "algorithm=random"]
    monkeypatch.setattr(sys, "argv", ["nas_search", *command, f"hydra.run.dir={run}"])
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main()
    signal.signal(signal.SIGTERM, handler)
    assert not ended.value.code
    scored = [one.genotype for one in open_run(run).evaluations]
    prior = shipped_prior(SPACES.get("darts").space())
    expected, _ = prior.predict(scored)
    assert best(run, "prior") == scored[int(expected.argmax())]
    assert best(run, "fitness") == nas_search.load(run).genotype
