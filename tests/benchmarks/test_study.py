"""The study's figures follow from its scores, and its scores are those of the package today."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from benchmarks import study_report
from benchmarks.halves import half
from nas_search.data import DATASETS, probe_batch
from nas_search.scoring import ScoringTask
from nas_search.spaces import SPACES

STUDY = Path(__file__).parents[2] / "docs" / "study"
PINNED = ["development", "heldout", "development", "development", "heldout", "heldout"]


def rows(name: str) -> list[dict[str, str]]:
    with (STUDY / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_of_the_held_out_table_follows_from_the_scores() -> None:
    found = rows("full_600_by_architecture.csv")
    draws = [key for key in found[0] if key.startswith("gradalign_")]
    assert len(draws) >= 3
    assert all(half(row["genotype"]) == "heldout" for row in found)
    scores = [np.mean([float(row[draw]) for draw in draws]) for row in found]
    accuracies = [float(row["c10_acc"]) for row in found]
    (row,) = (
        row
        for row in rows("full_600_scores.csv")
        if (row["proxy"], row["seed"]) == ("gradalign", "mean")
    )
    assert int(row["n"]) == len(found) > 50
    assert float(row["tau"]) == pytest.approx(kendalltau(scores, accuracies).statistic, abs=1e-4)
    assert float(row["rho"]) == pytest.approx(spearmanr(scores, accuracies).statistic, abs=1e-4)
    page = (STUDY.parent / "study.md").read_text()
    (line,) = (
        x
        for x in page.splitlines()
        if x.startswith("| full_600 | c10_acc | ") and "`gradalign`" in x
    )
    assert f"{float(row['rho']):.3f}".removeprefix("0") in line


def test_its_scores_are_those_of_the_package(shared_data: Path, tmp_path: Path) -> None:
    script = shared_data / "unpack_cifar10.py"
    if not (shared_data / "cifar10" / "train_0.webp").is_file():
        pytest.skip(f"the real CIFAR-10 images are not at {shared_data}")
    arrays = tmp_path / "cifar10.npz"
    subprocess.run([sys.executable, str(script), str(arrays)], check=True)
    record, space = DATASETS.get("npz"), SPACES.get("darts").space()
    data = record.load(record.options(path=str(arrays)))
    for seed in (0, 2):
        images, labels = probe_batch(data, 64, None, seed)
        macro = {"cells": 8, "channels": 16}
        task = ScoringTask(space, macro, images, labels, 10, ("gradalign",), seed=seed)
        for row in rows("full_600_by_architecture.csv")[:2]:
            scored = task.evaluate(space.parse(row["genotype"]))
            assert scored.status == "ok"
            expected = float(row[f"gradalign_{seed}"])
            assert scored.scores["gradalign"] == pytest.approx(expected, rel=1e-3)


def test_the_halves_are_halves_and_never_change() -> None:
    texts = [f"cell {number}" for number in range(2000)]
    share = np.mean([half(text) == "heldout" for text in texts])
    assert 0.45 < share < 0.55
    assert [half(text) for text in texts[:6]] == PINNED


def test_the_tables_of_the_page_are_those_of_the_files() -> None:
    page = study_report.PAGE.read_text()
    assert study_report.filled(page, STUDY) == page, "run: python -m benchmarks.study_report"
    for name in ("heldout", "draws", "frozen", "statistics", "field", "darts_field", "evolution"):
        assert page.split(f"<!-- {name}: begin -->\n")[1].startswith("| "), name


ROW = {
    **dict.fromkeys(study_report.KEPT, ""),
    **{"group": "single", "subset": "full", "n": "4", "dead": "1"},
    **{"tau": "0.5", "tau_low": "0.25", "tau_high": "0.75", "rho": "0.625"},
    **{"top10_accuracy": "90", "partial_rho_size": "-0.125", "partial_rho": "0.125"},
}


def write(path: Path, *found: dict[str, str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, study_report.KEPT)
        writer.writeheader()
        writer.writerows({**ROW, **row} for row in found)


def test_tables_of_settings_draws_and_a_field_that_is_partly_measured(tmp_path: Path) -> None:
    default = {"proxy": "gradalign", "column": "c10_acc"}
    write(tmp_path / "full_600_settings_n16.csv", {**default, "seed": "0"})
    seeds = [{**default, "seed": seed, "tau": tau} for seed, tau in (("0", ".3"), ("mean", ".4"))]
    write(tmp_path / "full_600_scores.csv", *seeds)
    write(tmp_path / "short_50_field.csv", {**default, "proxy": "meco", "seed": "0"})
    of_table = [
        {"proxy": "az_nas", "column": column, "seed": "0"} for column in study_report.NASBENCH201
    ]
    write(tmp_path / "nasbench201_field.csv", *of_table)
    write(tmp_path / "nasbench201_az_nas.csv", *({**row, "tau": "0.75"} for row in of_table))

    assert study_report.settings(tmp_path).splitlines()[2:] == ["| n = 16 | .625 |  |  |  |  |"]
    assert study_report.draws(tmp_path).splitlines()[2:] == ["| full_600 | c10_acc | .300 | .400 |"]
    (line,) = study_report.darts_field(tmp_path).splitlines()[2:]
    assert line == "| `meco` | single | .500 [.250, .750] | .625 | -.125 | 1 |"
    (line,) = study_report.field(tmp_path).splitlines()[2:]
    assert ".750 / .750 / .750" in line
    assert study_report.evolution(tmp_path, "evolution") == ""
    assert study_report.statistics(tmp_path) == ""


def test_a_row_of_the_evolution_table(tmp_path: Path) -> None:
    columns = [key for c in study_report.NASBENCH201 for key in (c, f"{c}_deviation")]
    accuracies = ["70", ".2", "44", ".3"]
    with (tmp_path / "evolution.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["fitness", "search", "evaluations", "seeds", *columns, "score_rank"])
        for place, fitness in enumerate(("swap", "meco")):
            for search in ("evolution", "random search"):
                for budget, top in (("200", 90), ("500", 92)):
                    found = [str(top + place), ".1", *accuracies]
                    writer.writerow([fitness, search, budget, "50", *found, search[0]])
    cell = "/ 70 +- .2 / 44 +- .3"
    assert study_report.evolution(tmp_path, "evolution").splitlines()[2:] == [
        f"| `meco` | 93 +- .1 {cell} | e | 93 +- .1 {cell} | r |",
        f"| `swap` | 92 +- .1 {cell} | e | 92 +- .1 {cell} | r |",
    ]
