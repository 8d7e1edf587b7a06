"""The tables and plots of docs/study.md from the runs of benchmarks/study.sh.

    python -m benchmarks.study_report OUT    keeps the rankings of those runs that OUT holds in
                                             docs/study/*.csv, beside the scores of one small set
                                             and the plots, and puts the tables between the marks
                                             in docs/study.md
    python -m benchmarks.study_report        the tables alone, from docs/study/*.csv

Rank correlations are those that ``nas_search.rank`` computed: of the mean over draws where there
are several. "15 highest" is the mean accuracy of the 15 architectures of highest score.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import study_plots
from benchmarks.choice import FIXED
from benchmarks.forms import FORMS

PAGE = Path(__file__).parent.parent / "docs" / "study.md"
KEPT_IN = PAGE.parent / "study"
DARTS = ("full_600", "small_200", "short_50")
NASBENCH201 = ("c10_test_200", "c100_test_200", "in16_test_200")
BASELINES = ("params", "flops", "depth", "random")
HIGHEST = 15
KEPT = (
    *("proxy", "group", "column", "seed", "subset", "n", "dead", "tau", "tau_low", "tau_high"),
    *("rho", "ndcg", "argmax_accuracy", "top10_accuracy", "tau_best_tenth"),
    *("partial_rho", "partial_rho_size", "seed_tau", "top15_accuracy"),
)
COMPARED = (
    *("gradalign", "without_depth", "whole_mean_cosine", "whole_log_det", "mean_log_det"),
    *("sum_lambda_min", "sum_spread", "sum_between", "inputs_spread", "errors_spread"),
    *("root_factors", "factors_contrast"),
)
"""Forms that are shown under every kind of batch-norm statistics; the others are in the files."""

SETTINGS = {
    "n64": "as chosen: n = 64, CIFAR-10, default init",
    "n32": "n = 32",
    "n16": "n = 16",
    "digits16": "digits, 16 x 16",
    "digits32": "digits, 32 x 32",
    "noise": "normal noise with random labels",
    "kaiming_normal": "kaiming_normal",
}
MEASURED = (*(f"{place} rho" for place in DARTS), "tau C10", "C100", "IN16")
"""The measures of ``benchmarks.choice``, in its order."""

FIELD = ("field", "heavy", "az_nas")
"""Runs of the field; of a score in two of them the later one counts."""

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?")
    options = parser.parse_args()
    if options.out:
        KEPT_IN.mkdir(exist_ok=True)
        keep(options.out, KEPT_IN)
        keep_scores(options.out, KEPT_IN)
        study_plots.draw(options.out, KEPT_IN)
    PAGE.write_text(filled(PAGE.read_text(), KEPT_IN))


def filled(page: str, kept: Path) -> str:
    """Return ``page`` with the tables of what ``kept`` holds between their marks."""
    tables = {
        "heldout": heldout(kept),
        "draws": draws(kept),
        "frozen": forms(kept, "frozen"),
        "statistics": statistics(kept),
        "settings": settings(kept),
        "field": field(kept),
        "darts_field": darts_field(kept),
        "choice": choice(kept),
        "chosen": chosen(kept),
        "evolution": evolution(kept, "evolution"),
        "evolution_full": evolution(kept, "evolution_full"),
    }
    for name, table in tables.items():
        if table:
            page = replaced(page, name, table)
    return page


def heldout(out: Path) -> str:
    """Return the table of the chosen form beside the baselines, on what it was not chosen on."""
    lines = []
    for place, column in _columns(out, "scores"):
        for row in ranking(out, place, "scores"):
            if row["column"] == column and row["subset"] == "full":
                low, high = number(row["tau_low"]), number(row["tau_high"])
                lines.append(
                    [
                        *(place, column, row["n"], f"`{row['proxy']}`"),
                        f"{number(row['tau'])} [{low}, {high}]",
                        *(number(row[key]) for key in ("rho", "partial_rho_size", "seed_tau")),
                        f"{float(row['top15_accuracy']):.2f}",
                        f"{float(row['argmax_accuracy']):.2f}",
                    ]
                )
    titles = (
        *("architectures", "accuracy", "n", "score", "tau [95 %]", "rho"),
        *("rho given params and FLOPs", "tau between draws", f"{HIGHEST} highest", "highest"),
    )
    return markdown(titles, lines)


def forms(out: Path, mode: str) -> str:
    """Return the table of forms under one kind of batch-norm statistics: development halves."""
    names = ("gradalign", *BASELINES[:3], *FORMS)
    return markdown(
        ("form", "formula", *(f"{p} rho" for p in DARTS), "NAS-Bench-201 tau", "top 10"),
        [
            [f"`{name}`", FORMS[name][0] if name in FORMS else "", *cells]
            for name in names
            if (cells := across(out, f"forms_{mode}", name))
        ],
    )


def statistics(out: Path) -> str:
    """Return what kind of batch-norm statistics does to the forms: development halves."""
    lines = []
    for name in COMPARED:
        cells = [across(out, f"forms_{mode}", name) for mode in ("frozen", "batch", "sample")]
        if all(cells):
            lines.append([f"`{name}`", *(" / ".join(c[:3] + c[3].split(" / ")[:1]) for c in cells)])
    shown = "full_600 / small_200 / short_50 rho / NAS-Bench-201 tau"
    return markdown(("form", f"`frozen`: {shown}", "`batch`", "`sample`"), lines)


def settings(out: Path) -> str:
    """Return how the default score depends on its settings: development halves."""
    runs = {"as chosen, on 500 cells": "forms_frozen"}
    runs |= {title: f"settings_{name}" for name, title in SETTINGS.items()}
    return markdown(
        ("setting", *(f"{p} rho" for p in DARTS), "NAS-Bench-201 tau", "top 10"),
        [[t, *cells] for t, run in runs.items() if (cells := across(out, run, "gradalign"))],
    )


def draws(out: Path) -> str:
    """Return what averaging the default score over draws brings: held-out halves."""
    lines = []
    for place, column in _columns(out, "scores"):
        rows = [
            row
            for row in every(out, place, "scores")
            if (row["proxy"], row["column"], row["subset"]) == ("gradalign", column, "full")
        ]
        single = [float(row["tau"]) for row in rows if row["seed"] != "mean"]
        (mean,) = (row["tau"] for row in rows if row["seed"] == "mean")
        each = " / ".join(number(str(tau)) for tau in single)
        lines.append([place, column, each, number(mean)])
    return markdown(("architectures", "accuracy", "tau of each draw", "of their mean"), lines)


def field(out: Path) -> str:
    """Return every score on the held-out half of NAS-Bench-201, best first."""
    lines = {}
    for run in FIELD:
        rows = ranking(out, "nasbench201", run)
        for row in rows:
            if row["column"] != NASBENCH201[0] or row["subset"] != "full":
                continue
            if run != FIELD[0] and row["proxy"] in BASELINES:
                continue
            same = [r for r in rows if r["proxy"] == row["proxy"] and r["subset"] == "full"]
            taus = [number(next(r["tau"] for r in same if r["column"] == c)) for c in NASBENCH201]
            lines[row["proxy"]] = [
                *(f"`{row['proxy']}`", row["group"], row["n"], row["dead"], " / ".join(taus)),
                *(number(row[k]) for k in ("tau_low", "tau_high", "rho", "partial_rho")),
                *(number(row[k]) for k in ("partial_rho_size", "tau_best_tenth", "seed_tau")),
                f"{float(row['top10_accuracy']):.2f}",
            ]
    titles = (
        *("score", "group", "n", "dead", "tau C10 / C100 / IN16", "low", "high", "rho"),
        *("rho given params", "and FLOPs", "tau of best tenth", "tau between draws", "top 10"),
    )
    best = sorted(lines.values(), key=lambda line: -float(line[4].split(" / ")[0]))
    return markdown(titles, best)


def darts_field(out: Path) -> str:
    """Return every score on the held-out half of each DARTS protocol that was run."""
    runs = ("field", "field_jacobian")  # of a score in both the later one counts
    found = {
        protocol: {
            row["proxy"]: row
            for run in runs
            for row in ranking(out, protocol, run)
            if row["subset"] == "full"
        }
        for protocol in DARTS
    }
    found = {protocol: rows for protocol, rows in found.items() if rows}
    if not found:
        return ""
    first = next(iter(found.values()))
    titles = ["score", "group"]
    for protocol, rows in found.items():
        n = next(iter(rows.values()))["n"]
        titles += [f"{protocol} (n = {n}) tau [95 %]", "rho", "given params and FLOPs", "dead"]
    lines = []
    for name in sorted(first, key=lambda name: -float(first[name]["tau"] or -1)):
        line = [f"`{name}`", first[name]["group"]]
        for rows in found.values():
            row = rows[name]
            interval = f"[{number(row['tau_low'])}, {number(row['tau_high'])}]"
            line += [f"{number(row['tau'])} {interval}", number(row["rho"])]
            line += [number(row["partial_rho_size"]), row["dead"]]
        lines.append(line)
    return markdown(titles, lines)


def evolution(out: Path, name: str) -> str:
    """Return what evolution and random search find with each score as fitness, best first."""
    rows = [row for part in (name, f"{name}_heavy") for row in listed(out / f"{part}.csv")]
    longest = max((int(row["evaluations"]) for row in rows), default=0)
    found = {
        (row["fitness"], row["search"]): row for row in rows if int(row["evaluations"]) == longest
    }
    lines = []
    for fitness in dict.fromkeys(row["fitness"] for row in rows):
        pair = [found[fitness, search] for search in ("evolution", "random search")]
        cells = [
            " / ".join(f"{row[c]} +- {row[f'{c}_deviation']}" for c in NASBENCH201) for row in pair
        ]
        ranks = [row["score_rank"] for row in pair]
        lines.append([f"`{fitness}`", cells[0], ranks[0], cells[1], ranks[1]])
    shown = f"after {longest}: C10 / C100 / IN16"
    titles = ("fitness", f"evolution {shown}", "rank", f"random search {shown}", "rank")
    return markdown(titles, sorted(lines, key=lambda line: -float(line[1].split(" ")[0])))


def choice(out: Path) -> str:
    """Return how good forms are that were chosen on random halves, on the other halves."""
    lines = []
    for row in listed(out / "choice.csv"):
        pairs = [(name, row[name], row[f"{name} deviation"]) for name in list(row)[1::2]]
        cells = [f"{number(value)} +- {number(deviation)}" for _, value, deviation in pairs]
        title = row["chosen by"]
        lines.append([f"`{title}`, not chosen" if title in FIXED else title, *cells])
    return markdown(("chosen by", *MEASURED), lines)


def chosen(out: Path) -> str:
    """Return which forms were chosen most often, and what they reach on all architectures."""
    lines = []
    for row in listed(out / "chosen.csv"):
        share = f"{100 * float(row['share']):.0f} %" if row["share"] else "-"
        cells = [number(value) for value in list(row.values())[3:]]
        lines.append([row["chosen by"] or "-", f"`{row['form']}`", share, *cells])
    return markdown(("chosen by", "form", "share of splits", *MEASURED), lines)


def across(out: Path, run: str, proxy: str) -> list[str]:
    """Return rho in each DARTS protocol and tau in NAS-Bench-201; empty where nothing was run."""
    cells, any_found = [], False
    for protocol in DARTS:
        found = [r for r in ranking(out, protocol, run) if r["proxy"] == proxy]
        full = [r for r in found if r["subset"] == "full"]
        cells.append(number(full[0]["rho"]) if full else "")
        any_found |= bool(full)
    rows = [r for r in ranking(out, "nasbench201", run) if r["proxy"] == proxy]
    full = [r for r in rows if r["subset"] == "full"]
    by_column = {r["column"]: r for r in full}
    cells.append(" / ".join(number(by_column[c]["tau"]) for c in NASBENCH201 if c in by_column))
    tops = [by_column[c]["top10_accuracy"] for c in NASBENCH201 if c in by_column]
    cells.append(" / ".join(f"{float(value):.1f}" for value in tops))
    return cells if any_found or full else []


def ranking(out: Path, place: str, run: str) -> list[Row]:
    """Return the kept rows of a run for the mean over draws, or for its only draw."""
    rows = every(out, place, run)
    averaged = {row["proxy"] for row in rows if row["seed"] == "mean"}
    return [row for row in rows if row["seed"] == "mean" or row["proxy"] not in averaged]


def every(out: Path, place: str, run: str) -> list[Row]:
    """Return all kept rows of a run; none where it was not run."""
    return listed(out / f"{place}_{run}.csv")


def listed(path: Path) -> list[Row]:
    """Return the rows of a CSV file; none where it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def top(directory: Path, column: str) -> dict[str, float]:
    """Return the mean accuracy of the architectures of highest mean score, by score."""
    scores = study_plots.mean_scores(directory / "scores.csv")
    accuracy, found = scores[column], {}
    for proxy, values in scores.items():
        order = np.argsort(-np.nan_to_num(values, nan=-math.inf), kind="stable")[:HIGHEST]
        found[proxy] = float(accuracy[order].mean())
    return found


def keep(out: Path, directory: Path) -> None:
    """Write the rankings of every run, small enough to be read and compared."""
    for path in sorted(out.glob("*/*/ranking.csv")):
        place, run = path.parts[-3:-1]
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if run == "scores":
            highest = {c: top(path.parent, c) for c in {row["column"] for row in rows}}
            for row in rows:
                if row["subset"] == "full" and row["seed"] == "mean":
                    row["top15_accuracy"] = f"{highest[row['column']][row['proxy']]:.4f}"
        else:
            averaged = {row["proxy"] for row in rows if row["seed"] == "mean"}
            rows = [r for r in rows if r["seed"] == "mean" or r["proxy"] not in averaged]
        with (directory / f"{place}_{run}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, KEPT, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(map(rounded, rows))
    for path in (*(out / "nasbench201").glob("evolution*.csv"), *out.glob("cho*.csv")):
        (directory / path.name).write_bytes(path.read_bytes())


def keep_scores(out: Path, directory: Path, place: str = "full_600") -> None:
    """Write the default score of each architecture of one small set, draw by draw."""
    path = out / place / "scores" / "scores.csv"
    if not path.exists():
        return
    found: dict[str, list[str]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            kept = found.setdefault(row["genotype"], [row["c10_acc"]])
            kept.append(f"{float(row['gradalign']):.6g}")
    draws = len(next(iter(found.values()))) - 1
    with (directory / f"{place}_by_architecture.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["genotype", "c10_acc", *(f"gradalign_{seed}" for seed in range(draws))])
        writer.writerows([name, *values] for name, values in found.items())


def rounded(row: Row) -> Row:
    """Return ``row`` with four decimals."""

    def short(value: str) -> str:
        try:
            return value if "." not in value else f"{float(value):.4f}"
        except ValueError:
            return value

    return {key: short(value) for key, value in row.items()}


def _columns(out: Path, run: str) -> Iterable[tuple[str, str]]:
    for place in (*DARTS, "nasbench201", "nasbench101"):
        for column in dict.fromkeys(row["column"] for row in ranking(out, place, run)):
            yield place, column


def number(value: str) -> str:
    """Return a correlation as ``.73``; a dash where there is none."""
    parsed = float(value) if value else math.nan
    return "-" if math.isnan(parsed) else f"{parsed:.3f}".replace("0.", ".", 1)


def markdown(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table; empty without lines."""
    if not lines:
        return ""
    rows = [f"| {' | '.join(line)} |" for line in (titles, *lines)]
    rows.insert(1, "|" + "---|" * len(titles))
    return "\n".join(rows) + "\n"


def replaced(page: str, name: str, table: str) -> str:
    """Return ``page`` with ``table`` between the marks of ``name``."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = page.split(begin)
    return before + begin + table + end + rest.split(end)[1]


if __name__ == "__main__":
    main()
