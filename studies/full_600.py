"""How well scores order 214 fully trained DARTS cells, beside short trainings of the same cells.

Of the protocol ``full_600`` 102 cells were known when the default score was chosen; 112 came later.
The scores are those of the part ``full_600`` of ``studies/study.sh``, the trainings those of a
table of learning curves:

    python -m studies.full_600 OUT/full_600/all --curves darts_full600_curves.csv
    python -m studies.study_report
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nas_search.proxies import PROXIES
from nas_search.ranking.correlation import bootstrap_tau, failures_last, kendall_tau, spearman_rho
from nas_search.ranking.equal_size import equal_size_pairs
from nas_search.tables import Array
from studies.markdown import number, table
from studies.result_files import RESULTS, Row, read_rows, write_rows

ACCURACY, KNOWN, SIZE = "c10_acc", "also_in_darts_trained", "params"
EPOCHS = (10, 20, 50, 100, 200, 400)
"""Lengths of trainings that are set beside the scores: a look into the run of 600 epochs."""
DRAWS = 2000
"""Resamples of an interval."""
ALL = "all"
GROUPS = {ALL: "all cells", "known": "known when the default was chosen", "later": "of later"}
COLUMNS = (
    *("by", "cells", "n", "tau", "tau_low", "tau_high", "rho"),
    *("equal_size", "equal_size_low", "equal_size_high"),
)
NOISE, SPREAD = 0.1, 0.23
"""Standard deviations over seeds of a cell's training and over cells (percent), as published."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="directory of nas_search.rank")
    parser.add_argument("--curves", type=Path, required=True)
    options = parser.parse_args()
    scores, curves = read_rows(options.run / "scores.csv"), read_rows(options.curves)
    write_rows(RESULTS / "full_600.csv", COLUMNS, measured(scores, curves))


def measured(scores: list[Row], curves: list[Row]) -> Iterator[Row]:
    """Yield how well each score and each short training orders each group of cells.

    Raises:
        KeyError: a cell of ``curves`` has no scores.
    """
    by_genotype = {row["genotype"]: row for row in scores}
    ordered = [by_genotype[row["genotype"]] for row in curves]
    values = {name: _values(ordered, name) for name in ordered[0] if name in PROXIES.names()}
    sizes, accuracies = values[SIZE], _values(curves, ACCURACY)
    for epochs in EPOCHS:
        values[f"{epochs} epochs"] = _values(curves, f"acc_ep{epochs}")
    known = np.array([row[KNOWN] == "1" for row in curves])
    groups = dict(zip(GROUPS, (np.full(len(curves), True), known, ~known), strict=True))
    for name, of_all in values.items():
        for group, inside in groups.items():
            own, true = failures_last(of_all[inside]), accuracies[inside]
            pairs = equal_size_pairs(own, true, sizes[inside])
            figures = (
                *(kendall_tau(own, true), *bootstrap_tau(own, true, DRAWS)),
                *(spearman_rho(own, true), pairs.share, pairs.low, pairs.high),
            )
            texts = (name, group, str(len(own)), *(f"{figure:.4f}" for figure in figures))
            yield dict(zip(COLUMNS, texts, strict=True))


def pooled_rho(rows: list[Row]) -> dict[str, str]:
    """Return Spearman's rho on all cells, by score."""
    return {row["by"]: row["rho"] for row in rows if row["cells"] == ALL}


def shown(rows: list[Row]) -> str:
    """Return the table of the kept rows, best first by tau on all cells; empty without rows."""
    if not rows:
        return ""
    by_name: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_name.setdefault(row["by"], {})[row["cells"]] = row
    best_first = sorted(
        by_name.items(),
        key=lambda pair: -np.nan_to_num(float(pair[1][ALL]["tau"]), nan=-math.inf),
    )
    lines = [
        [
            name if name.endswith("epochs") else f"`{name}`",
            *(_with_interval(own[group], "tau") for group in GROUPS),
            number(own[ALL]["rho"]),
            _with_interval(own[ALL], "equal_size"),
        ]
        for name, own in best_first
    ]
    of = best_first[0][1]
    titles = ["score, or training for", *(f"tau, {GROUPS[g]} ({of[g]['n']})" for g in GROUPS)]
    return table([*titles, "rho, all", "equal size, all"], lines) + "\n" + _ceiling()


def _with_interval(row: Row, name: str) -> str:
    low, high = number(row[f"{name}_low"]), number(row[f"{name}_high"])
    return f"{number(row[name])} [{low}, {high}]"


def _values(rows: list[Row], name: str) -> Array:
    return np.array([float(row[name]) if row[name] else math.nan for row in rows])


def _ceiling() -> str:
    """Return what a score that knew every cell's true mean accuracy would reach."""
    correlation = math.sqrt(1 - (NOISE / SPREAD) ** 2)
    tau = 2 / math.pi * math.asin(correlation)
    rho = 6 / math.pi * math.asin(correlation / 2)
    return (
        f"Noise ceiling: a training's accuracy moves by about {NOISE} points from seed to seed, "
        f"where cells differ by {SPREAD} (standard deviations). Were both normal, a score that "
        f"knew the true means would have tau {tau:.2f} (rho {rho:.2f}).\n"
    )


if __name__ == "__main__":
    main()
