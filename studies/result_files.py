"""The files of results: what ``nas_search.rank`` wrote, and what of it is kept in the repository.

``studies/results/README.md`` says what the kept files and their columns are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
KEY = ("place", "run")
"""Which architectures were measured, and which part of studies/study.sh measured them."""

DARTS = ("full_600", "small_200", "short_50")
"""Places: the protocols by which DARTS cells were trained; their accuracy is ``c10_acc``."""

NASBENCH201 = ("c10_test_200", "c100_test_200", "in16_test_200")
"""Accuracies of the place ``nasbench201``."""

JUDGED = ("field", "heavy", "az_nas", "field_jacobian", "scores")
"""Runs on held-out halves and NAS-Bench-101; the last has the most architectures and draws."""

COLUMNS = {
    "correlations": (
        *KEY,
        *("proxy", "group", "column", "seed", "subset", "n", "dead", "tau", "tau_low", "tau_high"),
        *("rho", "ndcg", "argmax_accuracy", "top10_accuracy", "tau_best_tenth"),
        *("partial_rho", "partial_rho_size", "seed_tau", "top15_accuracy"),
    ),
    "scores": (*KEY, "genotype", "column", "accuracy", "proxy", "seed", "score"),
    "choice": (
        *(*KEY, "column", "statistic", "judged_on", "chosen_by", "form", "share"),
        *("value", "deviation"),
    ),
    "evolution": (
        *(*KEY, "fitness", "search", "evaluations", "seeds"),
        *("c10_test_200", "c10_test_200_deviation", "c100_test_200", "c100_test_200_deviation"),
        *("in16_test_200", "in16_test_200_deviation", "score_rank"),
    ),
}
"""Columns of each kept file."""

Row = dict[str, str]
Runs = dict[tuple[str, str], list[Row]]
"""Candidates of one kept file by place and run, in the file's order."""


def read_runs(directory: Path, name: str) -> Runs:
    """Return the rows of a kept file by place and run; none where it does not exist."""
    runs: Runs = {}
    for row in read_rows(directory / f"{name}.csv"):
        runs.setdefault((row["place"], row["run"]), []).append(row)
    return runs


def replace_runs(directory: Path, name: str, rows: Iterable[Row]) -> None:
    """Put ``rows`` in place of a kept file's rows of the same runs; other runs are left alone."""
    new: Runs = {}
    for row in rows:
        new.setdefault((row["place"], row["run"]), []).append(row)
    runs = read_runs(directory, name) | new
    write_rows(
        directory / f"{name}.csv", COLUMNS[name], [row for key in sorted(runs) for row in runs[key]]
    )


def averaged(runs: Runs, place: str, run: str) -> list[Row]:
    """Return the rows of a run for the mean over draws, or for its only draw."""
    rows = runs.get((place, run), [])
    several = {row["proxy"] for row in rows if row["seed"] == "mean"}
    return [row for row in rows if row["seed"] == "mean" or row["proxy"] not in several]


def judged_rows(runs: Runs, place: str, column: str) -> dict[str, Row]:
    """Return the row of each score on what nothing was chosen on, by score: on all architectures.

    Of a score in several of :data:`JUDGED` the last one counts.
    """
    return {
        row["proxy"]: row
        for run in JUDGED
        for row in averaged(runs, place, run)
        if row["column"] == column and row["subset"] == "full"
    }


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV file; none where it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV file; what a row does not have is empty."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(
            file, columns, restval="", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


def mean_scores(path: Path) -> dict[str, np.ndarray]:
    """Return every column of numbers of rank's scores.csv as its mean over draws, NaN where none.

    Each array has one value per architecture, (n,), in the order of the file.
    """
    rows = read_rows(path)
    names = {name: place for place, name in enumerate(dict.fromkeys(r["genotype"] for r in rows))}
    found = {}
    for column in rows[0]:
        if column in ("genotype", "status", "reason", "seed"):
            continue
        total, count = np.zeros(len(names)), np.zeros(len(names))
        for row in rows:
            if row[column]:
                total[names[row["genotype"]]] += float(row[column])
                count[names[row["genotype"]]] += 1
        found[column] = np.divide(total, count, out=np.full(len(names), np.nan), where=count > 0)
    return found
