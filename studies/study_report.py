"""The tables and plots of docs/study*.md, and one of docs/scores.md, from studies/study.sh's runs.

python -m studies.study_report OUT    keeps what those runs say that OUT holds in
studies/results/, draws the plots into docs/study/, and
puts the tables between the marks in those pages
python -m studies.study_report        the tables alone, from studies/results/
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from studies import another_form, correlation_tables, full_600, search_tables, study_plots
from studies.markdown import replaced
from studies.result_files import (
    RESULTS,
    Row,
    averaged,
    mean_scores,
    read_rows,
    read_runs,
    replace_runs,
)
from studies.summary_table import summary

DOCS = Path(__file__).parent.parent / "docs"
PAGES = tuple(DOCS / f"{name}.md" for name in ("study", "study_protocol", "study_tables", "scores"))
PLOTS = DOCS / "study"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?")
    options = parser.parse_args()
    if options.out:
        keep(options.out, RESULTS)
        study_plots.draw(options.out, read_runs(RESULTS, "correlations"), PLOTS)
    for page in PAGES:
        page.write_text(filled(page.read_text(), RESULTS))


def filled(page: str, results: Path) -> str:
    """Return ``page`` with the tables of the kept ``results`` between the marks that it has."""
    runs, searches = read_runs(results, "correlations"), read_runs(results, "evolution")
    judged = read_rows(results / "choice.csv")
    full = read_rows(results / "full_600.csv")
    tables = {
        "summary": summary(runs, searches, full_600.pooled_rho(full)),
        "full_600": full_600.shown(full),
        "heldout": correlation_tables.heldout(runs),
        "draws": correlation_tables.draws(runs),
        "frozen": correlation_tables.forms(runs, "frozen"),
        "statistics": correlation_tables.statistics(runs),
        "settings": correlation_tables.settings(runs),
        "field": correlation_tables.field(runs),
        "newer": correlation_tables.newer(runs, "nasbench201"),
        "newer_101": correlation_tables.newer(runs, "nasbench101"),
        "darts_field": correlation_tables.darts_field(runs),
        "choice": search_tables.choice(judged),
        "another_form": another_form.shown(read_rows(results / "another_form.csv")),
        "everywhere": another_form.shown_all(read_rows(results / "another_form.csv")),
        "chosen": search_tables.chosen(judged),
        "evolution": search_tables.evolution(searches, "evolution"),
        "evolution_full": search_tables.evolution(searches, "evolution_full"),
    }
    for name, table in tables.items():
        if table and f"<!-- {name}: begin -->" in page:
            page = replaced(page, name, table)
    return page


def keep(out: Path, results: Path) -> None:
    """Write what the runs in ``out`` say, small enough to be read and compared."""
    replace_runs(results, "correlations", _correlations(out))
    replace_runs(results, "scores", _scores(out / "full_600" / "scores"))
    replace_runs(results, "choice", read_rows(out / "choice.csv"))
    replace_runs(results, "evolution", _evolution(out / "nasbench201"))


def _correlations(out: Path) -> Iterator[Row]:
    """Yield the rankings of every run: of each draw and their mean of the default, else of one."""
    for path in sorted(out.glob("*/*/ranking.csv")):
        place, run = path.parts[-3:-1]
        rows = read_rows(path)
        if run == "scores":
            highest = {c: _highest(path.parent, c) for c in {row["column"] for row in rows}}
            for row in rows:
                if row["subset"] == "full" and row["seed"] == "mean":
                    row["top15_accuracy"] = f"{highest[row['column']][row['proxy']]:.4f}"
        else:
            rows = averaged({(place, run): rows}, place, run)
        for row in rows:
            yield {**_rounded(row), "place": place, "run": run}


def _highest(directory: Path, column: str) -> dict[str, float]:
    """Return the mean accuracy of the architectures of highest mean score, by score."""
    scores = mean_scores(directory / "scores.csv")
    accuracy, means = scores[column], {}
    for proxy, values in scores.items():
        order = np.argsort(-np.nan_to_num(values, nan=-math.inf), kind="stable")
        means[proxy] = float(accuracy[order[: correlation_tables.HIGHEST]].mean())
    return means


def _scores(directory: Path) -> Iterator[Row]:
    """Yield the default score of each architecture of one small set, draw by draw."""
    place, run = directory.parts[-2:]
    rows = read_rows(directory / "scores.csv")
    order = {name: i for i, name in enumerate(dict.fromkeys(row["genotype"] for row in rows))}
    for row in sorted(rows, key=lambda row: order[row["genotype"]]):  # draws of one together
        yield {
            **{"place": place, "run": run, "genotype": row["genotype"], "column": "c10_acc"},
            **{"accuracy": row["c10_acc"], "proxy": "gradalign", "seed": row["seed"]},
            "score": f"{float(row['gradalign']):.6g}",
        }


def _evolution(directory: Path) -> Iterator[Row]:
    """Yield what every search with a score as fitness found."""
    for path in sorted(directory.glob("evolution*.csv")):
        for row in read_rows(path):
            yield {**row, "place": directory.name, "run": path.stem}


def _rounded(row: Row) -> Row:
    """Return ``row`` with four decimals."""

    def short(value: str) -> str:
        try:
            return value if "." not in value else f"{float(value):.4f}"
        except ValueError:
            return value

    return {key: short(value) for key, value in row.items()}


if __name__ == "__main__":
    main()
