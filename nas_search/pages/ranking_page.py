"""The page of a ranking: how well each score ranks trained architectures."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.pages import commands
from nas_search.pages.chart import Chart, Grid, Mark
from nas_search.pages.heat import Heat, cell
from nas_search.pages.page import number, render
from nas_search.ranking.correlation import failures_last, kendall_tau
from nas_search.report.ranking import FULL, SUBSETS

SHOWN = (
    *("proxy", "group", "column", "subset", "n", "dead", "tau", "tau_low", "tau_high", "rho"),
    *("equal_params", "equal_params_low", "equal_params_high", "partial_rho", "ndcg"),
    *("argmax_accuracy", "top10_accuracy", "tau_best_tenth", "seed_tau", "seconds"),
)
"""Columns of ``ranking.csv`` that the table shows."""

Row = Mapping[str, str]


def ranking_page(folder: Path, live: Mapping[str, Any] | None = None) -> str:
    """Return the page of a ranking that has ended.

    Raises:
        InputError: a file of it is missing or broken.
    """
    ranking, scores = _read(folder / "ranking.csv"), _read(folder / "scores.csv")
    try:
        rows = list({(r["proxy"], r["column"], r["subset"]): r for r in ranking}.values())
        full = [row for row in rows if row["subset"] == FULL]
        columns = list(dict.fromkeys(row["column"] for row in full))
        names = [row["proxy"] for row in _best_first(full, columns[0])]
        table = _architectures(scores, [n for n in names if n in scores[0]], columns)
        parts = _parts(rows, full, columns, names, table)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{folder} holds no ranking of this version ({error})") from None
    seeds = len({row["seed"] for row in scores})
    best = _best_first(full, columns[0])[0]
    return render(
        "ranking.html",
        f"Ranking in {folder.name}",
        [*parts["tau_charts"], *parts["scatters"]],
        [parts["rows"], parts["architectures"]],
        live,
        found=(
            f"Of {len(names)} scores, {best['proxy']} ranks {columns[0]} of "
            f"{int(best['n']):,} architectures best: tau {_interval(best)}, over {seeds} "
            f"seed{'s' * (seeds != 1)}."
        ),
        commands=commands.again(folder),
        **parts,
    )


def _parts(
    rows: Sequence[Row],
    full: Sequence[Row],
    columns: Sequence[str],
    names: Sequence[str],
    table: Grid,
) -> dict[str, Any]:
    by_pair = {(row["proxy"], row["column"]): row for row in full}
    scored = [name for name in names if name in table.columns]
    return {
        "tau_charts": [_taus(by_pair, names, column) for column in columns],
        "taus": _heat(rows, names),
        "rows": Grid(
            "ranking",
            "how well each score ranks",
            SHOWN,
            [[_value(row[name]) for name in SHOWN] for row in rows],
        ),
        "scatters": [
            _scatter(table, name, column, by_pair.get((name, column)))
            for name in scored
            for column in columns
        ],
        "agreement": _agreement(table, scored),
        "architectures": table,
    }


def _best_first(rows: Sequence[Row], column: str) -> list[Row]:
    part = [row for row in rows if row["column"] == column]
    return sorted(part, key=lambda row: -_number(row["tau"], -2.0))


def _taus(by_pair: Mapping[tuple[str, str], Row], names: Sequence[str], column: str) -> Chart:
    rows = [
        [name, *(_number(by_pair[name, column][key]) for key in ("tau", "tau_low", "tau_high"))]
        for name in names
        if (name, column) in by_pair
    ]
    return Chart(
        f"tau-{_key(column)}",
        f"tau on {column}",
        "Bars are Kendall's tau, the lines their 95 % intervals.",
        ("score", "tau", "low", "high"),
        rows,
        (
            Mark("bars", "score", "tau", "tau"),
            Mark("intervals", "score", "low", "95 % interval", "high"),
        ),
        "",
        "Kendall's tau",
        hover=("score", "tau", "low", "high"),
        categories=True,
    )


def _heat(rows: Sequence[Row], names: Sequence[str]) -> Heat:
    conditions = sorted(
        dict.fromkeys((row["subset"], row["column"]) for row in rows),
        key=lambda condition: condition[0] != FULL,
    )
    taus = {(r["proxy"], r["subset"], r["column"]): _number(r["tau"]) for r in rows}
    lines = []
    for name in names:
        values = [taus.get((name, *condition), math.nan) for condition in conditions]
        lines.append((name, [_tau_cell(value) for value in values]))
    titles = [c if s == FULL else f"{c} ({SUBSETS.get(s, s)})" for s, c in conditions]
    text = (
        "Blue is right, orange is the wrong way round; the mean over seeds where there are several."
    )
    return Heat("tau of every score", text, "score", titles, lines)


def _agreement(table: Grid, names: Sequence[str]) -> Heat:
    values = {
        name: failures_last(
            np.array([_or_nan(row[table.columns.index(name)]) for row in table.rows])
        )
        for name in names
    }
    rows = [
        (name, [_tau_cell(kendall_tau(values[name], values[other])) for other in names])
        for name in names
    ]
    text = (
        "Kendall's tau between the orders of two scores: 1 is the same order. Scores that agree "
        "tell the same; those that rank well and disagree are worth combining."
    )
    return Heat("Scores against each other", text, "score", names, rows)


def _tau_cell(value: float) -> Any:
    return cell(value, "-" if math.isnan(value) else f"{value:.2f}")


def _architectures(scores: Sequence[Row], names: Sequence[str], columns: Sequence[str]) -> Grid:
    """Return a row per architecture: scores as means over the seeds, and accuracies."""
    groups: dict[str, list[Row]] = {}
    for row in scores:
        groups.setdefault(row["genotype"], []).append(row)
    rows = []
    for place, (genotype, members) in enumerate(groups.items(), 1):
        means = [_mean([_number(row[name]) for row in members]) for name in names]
        accuracies = [_number(members[0][column]) for column in columns]
        rows.append([place, *means, *accuracies, members[0]["status"], genotype])
    header = ["number", *names, *columns, "status", "genotype"]
    return Grid("architectures", "architectures", header, rows, "number", ("genotype",))


def _scatter(table: Grid, name: str, column: str, row: Row | None) -> Chart:
    x, y = table.columns.index(name), table.columns.index(column)
    rows = [[line[0], line[x], line[y]] for line in table.rows]
    return Chart(
        f"scatter-{_key(name)}-{_key(column)}",
        f"{name} and {column}",
        f"tau {_interval(row)}" if row else "",
        ("number", name, column),
        rows,
        (Mark("dots", name, column, "architectures"),),
        name,
        f"{column}, %",
        "number",
        ("genotype", name, column),
    )


def _interval(row: Row) -> str:
    low, high = (_number(row[key]) for key in ("tau_low", "tau_high"))
    return f"{number(_number(row['tau']), 3)}, 95 % interval {low:.2f} to {high:.2f}"


def _read(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read {file} ({error})") from None
    if not rows:
        raise InputError(f"{file} is empty")
    return rows


def _number(text: str, missing: float = math.nan) -> float:
    try:
        value = float(text)
    except ValueError:
        return missing
    return value if math.isfinite(value) else missing


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _mean(values: Sequence[float]) -> float:
    """Return the mean; NaN if one is missing, as where one seed has no score."""
    return statistics.fmean(values) if not any(map(math.isnan, values)) else math.nan


def _value(text: str) -> Any:
    value = _number(text)
    if math.isnan(value):
        return None if text in ("", "nan") else text
    return int(value) if text.lstrip("-").isdigit() else value


def _key(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)
