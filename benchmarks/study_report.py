"""The tables of docs/study.md from the runs of benchmarks/study.sh.

    python -m benchmarks.study_report OUT            prints the tables of the parts that OUT holds
    python -m benchmarks.study_report OUT --write    puts them between the marks in docs/study.md,
                                                     and the rankings into docs/study/*.csv,
                                                     beside the scores of one small set

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

from benchmarks.gradalign_forms import FORMS

PAGE = Path(__file__).parent.parent / "docs" / "study.md"
DARTS = ("full_600", "small_200", "short_50")
NASBENCH201 = ("c10_test_200", "c100_test_200", "in16_test_200")
BASELINES = ("params", "flops", "depth", "random")
HIGHEST = 15
KEPT = (
    *("proxy", "group", "column", "seed", "subset", "n", "dead", "tau", "tau_low", "tau_high"),
    *("rho", "ndcg", "argmax_accuracy", "top10_accuracy", "tau_best_tenth"),
    *("partial_rho", "partial_rho_size", "seed_tau"),
)

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tables = {
        "heldout": heldout(options.out),
        **{mode: forms(options.out, mode) for mode in ("frozen", "sample", "batch")},
        "settings": settings(options.out),
        "field": field(options.out, ("field", "heavy")),
    }
    for name, table in tables.items():
        if table and not options.write:
            print(f"{name}\n\n{table}\n")
    if options.write:
        page = PAGE.read_text()
        for name, table in tables.items():
            if table and f"<!-- {name}: begin -->" in page:
                page = replaced(page, name, table)
        PAGE.write_text(page)
        keep(options.out, PAGE.parent / "study")
        keep_scores(options.out, PAGE.parent / "study")


def heldout(out: Path) -> str:
    """Return the table of the chosen form beside the baselines, on what it was not chosen on."""
    lines = []
    for place, column in _columns(out, "scores"):
        rows = ranking(out / place / "scores")
        highest = top(out / place / "scores", column)
        for row in rows:
            if row["column"] == column and row["subset"] == "full":
                low, high = number(row["tau_low"]), number(row["tau_high"])
                lines.append(
                    [
                        *(place, column, row["n"], f"`{row['proxy']}`"),
                        f"{number(row['tau'])} [{low}, {high}]",
                        *(number(row[key]) for key in ("rho", "partial_rho_size", "seed_tau")),
                        f"{highest.get(row['proxy'], math.nan):.2f}",
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


def settings(out: Path) -> str:
    """Return how the default score depends on its settings: development halves."""
    found = sorted({path.name for path in out.glob("*/*=*") if path.is_dir()})
    runs = [("as chosen: n = 64, CIFAR-10, default init", "forms_frozen"), *((f, f) for f in found)]
    return markdown(
        ("setting", *(f"{p} rho" for p in DARTS), "NAS-Bench-201 tau", "top 10"),
        [[title, *cells] for title, run in runs if (cells := across(out, run, "gradalign"))],
    )


def field(out: Path, runs: Sequence[str]) -> str:
    """Return every score on the held-out half of NAS-Bench-201, best first."""
    lines = []
    for run in runs:
        rows = ranking(out / "nasbench201" / run)
        for row in rows:
            if row["column"] != NASBENCH201[0] or row["subset"] != "full":
                continue
            if run != runs[0] and row["proxy"] in BASELINES:
                continue
            same = [r for r in rows if r["proxy"] == row["proxy"] and r["subset"] == "full"]
            taus = [number(next(r["tau"] for r in same if r["column"] == c)) for c in NASBENCH201]
            lines.append(
                [
                    *(f"`{row['proxy']}`", row["group"], row["n"], row["dead"], " / ".join(taus)),
                    *(number(row[k]) for k in ("tau_low", "tau_high", "rho", "partial_rho")),
                    *(number(row[k]) for k in ("partial_rho_size", "tau_best_tenth", "seed_tau")),
                    f"{float(row['top10_accuracy']):.2f}",
                ]
            )
    lines.sort(key=lambda line: -float(line[4].split(" / ")[0]))
    titles = (
        *("score", "group", "n", "dead", "tau C10 / C100 / IN16", "low", "high", "rho"),
        *("rho given params", "and FLOPs", "tau of best tenth", "tau between draws", "top 10"),
    )
    return markdown(titles, lines)


def across(out: Path, run: str, proxy: str) -> list[str]:
    """Return rho in each DARTS protocol and tau in NAS-Bench-201; empty where nothing was run."""
    cells, any_found = [], False
    for protocol in DARTS:
        found = [r for r in ranking(out / protocol / run) if r["proxy"] == proxy]
        full = [r for r in found if r["subset"] == "full"]
        cells.append(number(full[0]["rho"]) if full else "")
        any_found |= bool(full)
    rows = [r for r in ranking(out / "nasbench201" / run) if r["proxy"] == proxy]
    full = [r for r in rows if r["subset"] == "full"]
    by_column = {r["column"]: r for r in full}
    cells.append(" / ".join(number(by_column[c]["tau"]) for c in NASBENCH201 if c in by_column))
    tops = [by_column[c]["top10_accuracy"] for c in NASBENCH201 if c in by_column]
    cells.append(" / ".join(f"{float(value):.1f}" for value in tops))
    return cells if any_found or full else []


def ranking(directory: Path) -> list[Row]:
    """Return the rows of a run's ranking.csv for the mean over draws, or for its only draw."""
    path = directory / "ranking.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    means = [row for row in rows if row["seed"] == "mean"]
    averaged = {row["proxy"] for row in means}
    return [row for row in rows if row["seed"] == "mean" or row["proxy"] not in averaged]


def top(directory: Path, column: str) -> dict[str, float]:
    """Return the mean accuracy of the architectures of highest mean score, by score."""
    with (directory / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["genotype"] for row in rows))
    accuracy = {row["genotype"]: float(row[column]) for row in rows}
    found = {}
    for proxy in rows[0]:
        try:
            values: dict[str, list[float]] = {name: [] for name in names}
            for row in rows:
                values[row["genotype"]] += [float(row[proxy])] if row[proxy] else []
        except ValueError:
            continue  # not a column of numbers
        means = [np.mean(v) if v else -math.inf for v in values.values()]
        order = sorted(range(len(names)), key=lambda place: -means[place])[:HIGHEST]
        found[proxy] = float(np.mean([accuracy[names[place]] for place in order]))
    return found


def keep(out: Path, directory: Path) -> None:
    """Write the rankings of every run, small enough to be read and compared."""
    directory.mkdir(exist_ok=True)
    for path in sorted(out.glob("*/*/ranking.csv")):
        place, run = path.parts[-3:-1]
        with (directory / f"{place}_{run}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, KEPT, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(map(rounded, ranking(path.parent)))


def keep_scores(out: Path, directory: Path, place: str = "full_600") -> None:
    """Write the default score of each architecture of one small set, draw by draw."""
    found: dict[str, list[str]] = {}
    with (out / place / "scores" / "scores.csv").open(newline="") as file:
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
        for column in dict.fromkeys(row["column"] for row in ranking(out / place / run)):
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
