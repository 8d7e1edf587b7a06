"""The tables of docs/study.md that say how well scores rank; empty where nothing was run.

Rank correlations are those that ``nas_search.rank`` computed: of the mean over draws where there
are several. "15 highest" is the mean accuracy of the 15 architectures of highest score.
"""

from __future__ import annotations

from collections.abc import Iterable

from studies.forms import FORMS
from studies.markdown import number, table
from studies.result_files import DARTS, NASBENCH201, Row, Runs, averaged

BASELINES = ("params", "flops", "depth", "random")
HIGHEST = 15
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
NEWER = {
    "nasbench201": dict(zip(NASBENCH201, ("CIFAR-10", "CIFAR-100", "ImageNet16-120"), strict=True)),
    "nasbench101": {"c10_test_acc_108_mean3": "tau"},
}
"""Places of the run ``newer``, and what their columns are called."""
PUBLISHED = {
    "nasbench201": {
        "near": "tau .70 / .69 / .66",
        "dextr": "rho .90 / .91 / .87",
        "naswot": "tau .57 / .61 / .61",
        "params": "tau .57 / .55 / .52",
    },
    "nasbench101": {"near": "tau .52"},
}
"""Figures of other publications, of the scores in the run ``newer``."""

FIELD = ("field", "heavy", "az_nas")
"""Runs of the field; of a score in two of them the later one counts."""


def heldout(runs: Runs) -> str:
    """Return the table of the chosen form beside the baselines, on what it was not chosen on."""
    lines = []
    for place, column in _columns(runs, "scores"):
        for row in averaged(runs, place, "scores"):
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
    return table(titles, lines)


def forms(runs: Runs, mode: str) -> str:
    """Return the table of forms under one kind of batch-norm statistics: development halves."""
    names = ("gradalign", *BASELINES[:3], *FORMS)
    return table(
        ("form", "formula", *(f"{p} rho" for p in DARTS), "NAS-Bench-201 tau", "top 10"),
        [
            [f"`{name}`", FORMS[name][0] if name in FORMS else "", *cells]
            for name in names
            if (cells := _across(runs, f"forms_{mode}", name))
        ],
    )


def statistics(runs: Runs) -> str:
    """Return what kind of batch-norm statistics does to the forms: development halves."""
    lines = []
    for name in COMPARED:
        cells = [_across(runs, f"forms_{mode}", name) for mode in ("frozen", "batch", "sample")]
        if all(cells):
            lines.append([f"`{name}`", *(" / ".join(c[:3] + c[3].split(" / ")[:1]) for c in cells)])
    shown = "full_600 / small_200 / short_50 rho / NAS-Bench-201 tau"
    return table(("form", f"`frozen`: {shown}", "`batch`", "`sample`"), lines)


def settings(runs: Runs) -> str:
    """Return how the default score depends on its settings: development halves."""
    titled = {"as chosen, on 500 cells": "forms_frozen"}
    titled |= {title: f"settings_{name}" for name, title in SETTINGS.items()}
    return table(
        ("setting", *(f"{p} rho" for p in DARTS), "NAS-Bench-201 tau", "top 10"),
        [
            [title, *cells]
            for title, run in titled.items()
            if (cells := _across(runs, run, "gradalign"))
        ],
    )


def draws(runs: Runs) -> str:
    """Return what averaging the default score over draws brings: held-out halves."""
    lines = []
    for place, column in _columns(runs, "scores"):
        rows = [
            row
            for row in runs.get((place, "scores"), [])
            if (row["proxy"], row["column"], row["subset"]) == ("gradalign", column, "full")
        ]
        single = [float(row["tau"]) for row in rows if row["seed"] != "mean"]
        (mean,) = (row["tau"] for row in rows if row["seed"] == "mean")
        each = " / ".join(number(str(tau)) for tau in single)
        lines.append([place, column, each, number(mean)])
    return table(("architectures", "accuracy", "tau of each draw", "of their mean"), lines)


def field(runs: Runs) -> str:
    """Return every score on the held-out half of NAS-Bench-201, best first."""
    lines = {}
    for run in FIELD:
        rows = averaged(runs, "nasbench201", run)
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
    return table(titles, best)


def newer(runs: Runs, place: str) -> str:
    """Return the scores that were published since, beside the default and published figures."""
    lines = []
    titles = NEWER[place]
    rows = [row for row in averaged(runs, place, "newer") if row["subset"] == "full"]
    for name in dict.fromkeys(row["proxy"] for row in rows):
        own = {row["column"]: row for row in rows if row["proxy"] == name}
        cells = []
        for column in titles:
            low, high = number(own[column]["tau_low"]), number(own[column]["tau_high"])
            cells.append(f"{number(own[column]['tau'])} [{low}, {high}]")
        rho = " / ".join(number(own[column]["rho"]) for column in titles)
        lines.append([f"`{name}`", *cells, rho, PUBLISHED[place].get(name, "")])
    lines.sort(key=lambda line: -float(line[1].split()[0]))
    return table(("score", *titles.values(), "rho", "published"), lines)


def darts_field(runs: Runs) -> str:
    """Return every score on the held-out half of each DARTS protocol that was run."""
    of_protocol = {
        protocol: {
            row["proxy"]: row
            for run in ("field", "field_jacobian")  # of a score in both the later one counts
            for row in averaged(runs, protocol, run)
            if row["subset"] == "full"
        }
        for protocol in DARTS
    }
    of_protocol = {protocol: rows for protocol, rows in of_protocol.items() if rows}
    if not of_protocol:
        return ""
    first = next(iter(of_protocol.values()))
    titles = ["score", "group"]
    for protocol, rows in of_protocol.items():
        n = next(iter(rows.values()))["n"]
        titles += [f"{protocol} (n = {n}) tau [95 %]", "rho", "given params and FLOPs", "dead"]
    lines = []
    for name in sorted(first, key=lambda name: -float(first[name]["tau"] or -1)):
        line = [f"`{name}`", first[name]["group"]]
        for rows in of_protocol.values():
            row = rows[name]
            interval = f"[{number(row['tau_low'])}, {number(row['tau_high'])}]"
            line += [f"{number(row['tau'])} {interval}", number(row["rho"])]
            line += [number(row["partial_rho_size"]), row["dead"]]
        lines.append(line)
    return table(titles, lines)


def _across(runs: Runs, run: str, proxy: str) -> list[str]:
    """Return rho in each DARTS protocol and tau in NAS-Bench-201; empty where nothing was run."""

    def full(place: str) -> list[Row]:
        rows = averaged(runs, place, run)
        return [r for r in rows if r["proxy"] == proxy and r["subset"] == "full"]

    darts = [full(protocol) for protocol in DARTS]
    by_column = {row["column"]: row for row in full("nasbench201")}
    if not by_column and not any(darts):
        return []
    cells = [number(rows[0]["rho"]) if rows else "" for rows in darts]
    cells.append(" / ".join(number(by_column[c]["tau"]) for c in NASBENCH201 if c in by_column))
    tops = [by_column[c]["top10_accuracy"] for c in NASBENCH201 if c in by_column]
    cells.append(" / ".join(f"{float(value):.1f}" for value in tops))
    return cells


def _columns(runs: Runs, run: str) -> Iterable[tuple[str, str]]:
    for place in (*DARTS, "nasbench201", "nasbench101"):
        for column in dict.fromkeys(row["column"] for row in averaged(runs, place, run)):
            yield place, column
