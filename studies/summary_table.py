"""The first table of docs/study.md: which score ranks well where, and what a search finds by it."""

from __future__ import annotations

import math

from studies.markdown import number, table
from studies.result_files import DARTS, NASBENCH201, Row, Runs, judged_rows

SHOWN = (
    *("gradalign", "az_nas", "meco", "naswot", "swap", "zico", "synflow", "params", "flops"),
    *("depth", "gradalign_ii", "gradalign_ii_layerwise", "gradalign_i", "zen", "random", "oracle"),
)
"""The default, the best of the field and the best known, the baselines, chance and the bound; the
others are in the tables below."""

SHORTER = tuple(protocol for protocol in DARTS if protocol != "full_600")
"""Protocols of DARTS of which the held-out halves are shown."""

NASBENCH101 = "c10_test_acc_108_mean3"


def summary(runs: Runs, searches: Runs, full_600: dict[str, str]) -> str:
    """Return one line per score of :data:`SHOWN`, best mean tau on NAS-Bench-201 first.

    Args:
        runs: the kept correlations.
        searches: the kept results of evolution, of which those at full size are shown.
        full_600: rho on all DARTS cells that were trained in full, by score.
    """
    darts = [judged_rows(runs, protocol, "c10_acc") for protocol in SHORTER]
    cells = [judged_rows(runs, "nasbench201", column) for column in NASBENCH201]
    other = judged_rows(runs, "nasbench101", NASBENCH101)
    ended = _evolution(searches)
    lines = []
    for name in SHOWN:
        taus = [rows[name]["tau"] for rows in cells if name in rows]
        line = [
            f"`{name}`",
            number(full_600.get(name, "")),
            *(number(rows[name]["rho"]) if name in rows else "-" for rows in darts),
            " / ".join(map(number, taus)) or "-",
            cells[0][name]["n"] if name in cells[0] else "-",
            number(other[name]["tau"]) if name in other else "-",
            ended.get(name, "-"),
        ]
        if any(cell != "-" for cell in line[1:]):
            lines.append((sum(map(float, taus)) if taus else -math.inf, line))
    titles = (
        "`proxy=`",
        "full_600 rho (all 214)",
        *(f"{p} rho{_count(rows)}" for p, rows in zip(SHORTER, darts, strict=True)),
        *("NAS-Bench-201 tau: C10 / C100 / IN16", "cells"),
        f"NAS-Bench-101 tau{_count(other)}",
        "evolution finds: C10 / C100 / IN16",
    )
    best_first = sorted(lines, key=lambda pair: -pair[0])
    return table(titles, [line for _, line in best_first])


def _evolution(searches: Runs) -> dict[str, str]:
    """Return the accuracies that evolution finds at its largest budget, by score."""
    rows = searches.get(("nasbench201", "evolution_full"), [])
    ended = {
        row["fitness"]: row
        for row in sorted(rows, key=lambda row: int(row["evaluations"]))
        if row["search"] == "evolution"
    }
    return {name: " / ".join(row[c] for c in NASBENCH201) for name, row in ended.items()}


def _count(rows: dict[str, Row]) -> str:
    """Return for a title how many architectures all of ``rows`` are of; empty where it differs."""
    counts = {row["n"] for row in rows.values()}
    return f" (n = {counts.pop()})" if len(counts) == 1 else ""
