"""The study's figures follow from its scores, and its scores are those of the package today."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nas_search.data import DATASETS, probe_batch
from nas_search.scoring import ScoringTask
from nas_search.spaces import SPACES
from studies import correlation_tables, search_tables, study_report
from studies.halves import half
from studies.result_files import NASBENCH201, RESULTS, Row, Runs, read_rows, read_runs
from studies.summary_table import summary

PINNED = ["development", "heldout", "development", "development", "heldout", "heldout"]


@pytest.fixture
def draws() -> dict[str, list[Row]]:
    """Return the kept draws of each architecture of one small set, by text form."""
    by_architecture: dict[str, list[Row]] = {}
    for row in read_runs(RESULTS, "scores")["full_600", "scores"]:
        by_architecture.setdefault(row["genotype"], []).append(row)
    return by_architecture


def test_a_row_of_the_held_out_table_follows_from_the_scores(draws: dict[str, list[Row]]) -> None:
    assert all(len(rows) >= 3 for rows in draws.values())
    assert all(half(genotype) == "heldout" for genotype in draws)
    scores = [np.mean([float(row["score"]) for row in rows]) for rows in draws.values()]
    accuracies = [float(rows[0]["accuracy"]) for rows in draws.values()]
    (row,) = (
        row
        for row in read_runs(RESULTS, "correlations")["full_600", "scores"]
        if (row["proxy"], row["seed"]) == ("gradalign", "mean")
    )
    assert int(row["n"]) == len(draws) > 50
    assert float(row["tau"]) == pytest.approx(kendalltau(scores, accuracies).statistic, abs=1e-4)
    assert float(row["rho"]) == pytest.approx(spearmanr(scores, accuracies).statistic, abs=1e-4)
    page = (study_report.DOCS / "study_tables.md").read_text()
    (line,) = (
        x
        for x in page.splitlines()
        if x.startswith("| full_600 | c10_acc | ") and "`gradalign`" in x
    )
    assert f"{float(row['rho']):.3f}".removeprefix("0") in line


@pytest.mark.slow
def test_its_scores_are_those_of_the_package(
    shared_data: Path, tmp_path: Path, draws: dict[str, list[Row]]
) -> None:
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
        for genotype in list(draws)[:2]:
            scored = task.evaluate(space.parse(genotype))
            assert scored.status == "ok"
            (row,) = (row for row in draws[genotype] if row["seed"] == str(seed))
            expected = float(row["score"])
            assert scored.scores["gradalign"] == pytest.approx(expected, rel=1e-3)


def test_the_halves_are_halves_and_never_change() -> None:
    texts = [f"cell {number}" for number in range(2000)]
    share = np.mean([half(text) == "heldout" for text in texts])
    assert 0.45 < share < 0.55
    assert [half(text) for text in texts[:6]] == PINNED


TABLES = (
    *("summary", "heldout", "draws", "frozen", "statistics", "settings", "field", "darts_field"),
    *("choice", "chosen", "evolution", "evolution_full", "full_600"),
)


def test_the_tables_of_the_pages_are_those_of_the_files() -> None:
    pages = [path.read_text() for path in study_report.PAGES]
    for page in pages:
        assert study_report.filled(page, RESULTS) == page, "run: python -m studies.study_report"
    for name in TABLES:
        assert "".join(pages).split(f"<!-- {name}: begin -->\n")[1].startswith("| "), name


def ranked(run: str, place: str, **values: str) -> Row:
    """Return a row of rank's output of one run, as it is kept."""
    return {
        **{"place": place, "run": run, "proxy": "gradalign", "column": "c10_acc", "seed": "0"},
        **{"group": "single", "subset": "full", "n": "4", "dead": "1"},
        **{"tau": "0.5", "tau_low": "0.25", "tau_high": "0.75", "rho": "0.625", "seed_tau": ""},
        **{"top10_accuracy": "90", "partial_rho_size": "-0.125", "partial_rho": "0.125"},
        **{"tau_best_tenth": ""},
        **values,
    }


def of_table(run: str, proxy: str, **values: str) -> list[Row]:
    return [
        ranked(run, "nasbench201", proxy=proxy, column=column, **values) for column in NASBENCH201
    ]


def by_run(*rows: Row) -> Runs:
    runs: Runs = {}
    for row in rows:
        runs.setdefault((row["place"], row["run"]), []).append(row)
    return runs


def test_tables_of_settings_draws_and_a_field_that_is_partly_measured() -> None:
    runs = by_run(
        ranked("settings_n16", "full_600"),
        ranked("scores", "full_600", tau=".3"),
        ranked("scores", "full_600", tau=".4", seed="mean"),
        ranked("field", "short_50", proxy="meco"),
        *of_table("field", "az_nas"),
        *of_table("az_nas", "az_nas", tau="0.75"),
    )
    assert correlation_tables.settings(runs).splitlines()[2:] == ["| n = 16 | .625 |  |  |  |  |"]
    assert correlation_tables.draws(runs).splitlines()[2:] == [
        "| full_600 | c10_acc | .300 | .400 |"
    ]
    (line,) = correlation_tables.darts_field(runs).splitlines()[2:]
    assert line == "| `meco` | single | .500 [.250, .750] | .625 | -.125 | 1 |"
    (line,) = correlation_tables.field(runs).splitlines()[2:]
    assert ".750 / .750 / .750" in line
    assert correlation_tables.statistics(runs) == ""


def searched(fitness: str, search: str, budget: int, accuracy: float, **values: str) -> Row:
    return {
        **{"place": "nasbench201", "run": "evolution", "fitness": fitness, "search": search},
        **{"evaluations": str(budget), "seeds": "50", "score_rank": search[0]},
        **{"c10_test_200": f"{accuracy:g}", "c10_test_200_deviation": ".1"},
        **{"c100_test_200": "70", "c100_test_200_deviation": ".2"},
        **{"in16_test_200": "44", "in16_test_200_deviation": ".3"},
        **values,
    }


def test_a_row_of_the_evolution_table() -> None:
    searches = by_run(
        *(
            searched(fitness, search, budget, top + lead)
            for lead, fitness in enumerate(("swap", "meco"))
            for search in ("evolution", "random search")
            for budget, top in ((200, 90), (500, 92))
        )
    )
    cell = "/ 70 +- .2 / 44 +- .3"
    assert search_tables.evolution(searches, "evolution").splitlines()[2:] == [
        f"| `meco` | 93 +- .1 {cell} | e | 93 +- .1 {cell} | r |",
        f"| `swap` | 92 +- .1 {cell} | e | 92 +- .1 {cell} | r |",
    ]
    assert search_tables.evolution({}, "evolution") == ""


def test_the_summary_takes_each_score_from_its_largest_run_and_has_the_best_first() -> None:
    runs = by_run(
        ranked("field", "short_50", proxy="params", rho=".1"),
        ranked("scores", "short_50", proxy="params", rho=".2"),
        ranked("field", "short_50", proxy="meco", rho=".3"),
        *of_table("field", "params", tau=".6", n="5"),
        *of_table("field", "meco", tau=".7", n="5"),
        *of_table("scores", "params", tau=".5", n="9"),
        *of_table("scores", "params", tau="-1", subset="no_dead_branches"),
        *of_table("forms_frozen", "gradalign"),  # a development half: not shown
    )
    full = {"run": "evolution_full"}
    searches = by_run(
        searched("oracle", "evolution", 500, 94, **full),
        searched("oracle", "evolution", 200, 93, **full),
        searched("oracle", "random search", 500, 92, **full),
        searched("meco", "evolution", 500, 91),  # networks of one cell per stage: not shown
    )
    titles, _, *lines = summary(runs, searches, {"params": ".4"}).splitlines()
    assert "short_50 rho (n = 4)" in titles
    assert lines == [
        "| `meco` | - | - | .300 | .700 / .700 / .700 | 5 | - | - |",
        "| `params` | .400 | - | .200 | .500 / .500 / .500 | 9 | - | - |",
        "| `oracle` | - | - | - | - | - | - | 94 / 70 / 44 |",
    ]


def write(path: Path, *rows: Row) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(key for row in rows for key in row))
        writer.writeheader()
        writer.writerows(rows)


def test_a_run_that_is_measured_again_is_replaced_and_the_others_are_kept(tmp_path: Path) -> None:
    out, results = tmp_path / "out", tmp_path / "results"
    results.mkdir()
    cells = [{"genotype": text, "seed": seed, "status": "ok", "c10_acc": accuracy}
             for seed in ("0", "1") for text, accuracy in (("a", "95"), ("b", "97"))]  # fmt: skip
    scored = [{**cell, "gradalign": str(i)} for i, cell in enumerate(cells)]
    write(out / "full_600/scores/scores.csv", *scored)
    write(
        out / "full_600/scores/ranking.csv",
        *(ranked("", "", seed=seed, tau="0.12345") for seed in ("0", "1", "mean")),
    )
    write(
        out / "short_50/field/ranking.csv",
        *(ranked("", "", seed=seed) for seed in ("0", "mean")),
        ranked("", "", proxy="meco"),
    )
    write(out / "nasbench201/evolution.csv", searched("meco", "evolution", 500, 90))
    study_report.keep(out, results)
    (out / "short_50/field/ranking.csv").unlink()
    write(out / "full_600/scores/ranking.csv", ranked("", "", seed="mean", tau="0.5", n="2"))
    study_report.keep(out, results)

    kept = read_rows(results / "correlations.csv")
    assert [(row["place"], row["run"], row["proxy"], row["seed"], row["tau"]) for row in kept] == [
        ("full_600", "scores", "gradalign", "mean", "0.5000"),
        ("short_50", "field", "gradalign", "mean", "0.5000"),  # of several draws the mean alone
        ("short_50", "field", "meco", "0", "0.5000"),
    ]
    assert float(kept[0]["top15_accuracy"]) == 96.0  # both architectures are among the highest
    assert kept[1]["top15_accuracy"] == ""
    assert [
        (row["genotype"], row["seed"], row["accuracy"], row["score"])
        for row in read_rows(results / "scores.csv")
    ] == [
        ("a", "0", "95", "0"),
        ("a", "1", "95", "2"),
        ("b", "0", "97", "1"),
        ("b", "1", "97", "3"),
    ]
    (row,) = read_runs(results, "evolution")["nasbench201", "evolution"]
    assert row["c10_test_200"] == "90"
