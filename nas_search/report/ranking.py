"""The plots and tables of a ranking study. Computes no score and no statistic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from nas_search.report.curve import DOT, FENCE, LINE, STATUS_COLORS
from nas_search.report.figure import FAINT, INK, MUTED, save, style

if TYPE_CHECKING:  # the report room does not import torch
    from nas_search.ranking.ranking import RankingRow

TABLE_WIDTH = 166
"""Width of the table in characters."""

COLUMNS = 3
"""Panels per row of a scatter plot."""

FULL = "full"
SUBSETS = {FULL: "all", "no_dead_branches": "no dead branches"}

GROUPS = ("single", "aggregate", "fitted")


def representatives(rows: Sequence[RankingRow]) -> list[RankingRow]:
    """Return one row per score, column and subset: the mean over seeds, else the last seed."""
    return list({(row.proxy, row.column, row.subset): row for row in rows}.values())


def ranking_tables(rows: Sequence[RankingRow]) -> list[Table]:
    """Return one table per column of accuracies and subset: mean over seeds, best tau first."""
    parts: dict[tuple[str, str], list[RankingRow]] = {}
    for row in representatives(rows):
        parts.setdefault((row.column, row.subset), []).append(row)
    return [_table(part) for part in parts.values()]


def _table(rows: Sequence[RankingRow]) -> Table:
    first = rows[0]
    title = f"{first.column}, {SUBSETS[first.subset]} (n = {first.n:,})"
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left")
    table.add_column("score", no_wrap=True)
    for heading in ("tau", "95 %", "equal size", "rho", "rho|params", "rho|size", "nDCG", "argmax",
                    "top 10", "tau of top", "seeds", "s", "dead"):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=heading in ("95 %", "equal size"))
    for group in GROUPS:
        part = [row for row in rows if row.group == group]
        for row in sorted(part, key=lambda row: -np.nan_to_num(row.tau, nan=-2)):
            table.add_row(
                row.proxy + ("" if group == "single" else f" ({group})"),
                _number(row.tau), f"{_number(row.tau_low, 2)} to {_number(row.tau_high, 2)}",
                _share(row),
                _number(row.rho), _number(row.partial_rho), _number(row.partial_rho_size),
                _number(row.ndcg),
                _number(row.argmax_accuracy, 2), _number(row.top10_accuracy, 2),
                _number(row.tau_best_tenth), _number(row.seed_tau), _number(row.seconds),
                str(row.dead),
            )  # fmt: skip
        table.add_section()
    return table


def _share(row: RankingRow) -> str:
    if math.isnan(row.equal_params):
        return "-"
    low, high = _number(row.equal_params_low, 2), _number(row.equal_params_high, 2)
    return f"{_number(row.equal_params)} [{low}, {high}]"


def ranking_notes(rows: Sequence[RankingRow]) -> list[str]:
    """Return what a reader must know of the tables: sentences, without line breaks."""
    notes = [
        "equal size: of two networks whose parameters differ by 10 % at most, how often the one of "
        "higher score is the more accurate (0.5 is a coin's), with its 95 % interval"
    ]
    for row in {(row.column, row.subset): row for row in rows}.values():
        if math.isnan(row.ceiling_tau):
            continue
        where = row.column if row.subset == FULL else f"{row.column}, {SUBSETS[row.subset]}"
        shares = (row.ceiling_equal_params, row.ceiling_equal_params_single)
        single = ""
        if row.ceiling_tau_single < row.ceiling_tau - 5e-4:
            single = f" (against single trainings {_number(row.ceiling_tau_single)}"
            single += "" if math.isnan(shares[1]) else f" and {_number(shares[1])}"
            single += ")"
        pairs = "" if math.isnan(shares[0]) else f" and equal size {_number(shares[0])}"
        notes.append(
            f"{where}: trainings of one network differ, so that a score that knew the true mean "
            f"accuracy would have tau {_number(row.ceiling_tau)}{pairs}{single}"
        )
    return notes


def _number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def score_scatter(
    name: str, scores: np.ndarray, accuracies: Mapping[str, np.ndarray], path: Path
) -> None:
    """Write the scatter plot of a score against each column of accuracies.

    Args:
        name: the score.
        scores: (n,); networks without a score (NaN) are drawn at the left edge.
        accuracies: (n,) by column, NaN if unknown.
        path: the .png or .svg to write; its folder exists.

    Raises:
        OSError: the file cannot be written.
    """
    save(scatter_figure(name, scores, accuracies), path)


def scatter_figure(name: str, scores: np.ndarray, accuracies: Mapping[str, np.ndarray]) -> Figure:
    """Return the scatter plot as a figure; see :func:`score_scatter`."""
    across = min(COLUMNS, len(accuracies))
    down = math.ceil(len(accuracies) / across)
    with style():
        figure = Figure(
            figsize=(0.6 + 3.8 * across, 0.7 + 3.4 * down), dpi=150, facecolor="white",
            layout="constrained",
        )  # fmt: skip
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes, (column, accuracy) in zip(panels, accuracies.items(), strict=False):
            _scatter(axes, scores, accuracy)
            axes.set_title(column, loc="left", color=INK, fontsize=10)
            axes.set_xlabel(name, color=INK)
        for axes in panels[len(accuracies) :]:
            axes.set_axis_off()
        panels[0].set_ylabel("accuracy (%)", color=INK)
        dead = int((~np.isfinite(scores)).sum())
        notes = f", {dead:,} without a score (crosses)" if dead else ""
        figure.suptitle(
            f"{name}: {len(scores):,} architectures{notes}", x=0.01, ha="left", color=INK,
            fontsize=11,
        )  # fmt: skip
    return figure


def _scatter(axes: Axes, scores: np.ndarray, accuracy: np.ndarray) -> None:
    scored = np.isfinite(scores) & np.isfinite(accuracy)
    unscored = ~np.isfinite(scores) & np.isfinite(accuracy)
    low, high = _range(scores[scored])
    floor, top = _range(accuracy[np.isfinite(accuracy)])
    x, y = np.clip(scores[scored], low, high), np.clip(accuracy[scored], floor, top)
    outside = (x != scores[scored]) | (y != accuracy[scored])
    size = float(np.clip(70 / math.sqrt(max(len(x), 1)), 1.0, 4.5))
    alpha = float(np.clip(10 / math.sqrt(max(len(x), 1)), 0.15, 0.9))
    axes.plot(
        x[~outside], y[~outside], linestyle="none", marker="o", markersize=size, color=LINE,
        markeredgewidth=0, alpha=alpha, gid="scores",
    )  # fmt: skip
    axes.plot(
        x[outside], y[outside], linestyle="none", marker="d", markersize=4, color=DOT,
        markeredgewidth=0, alpha=max(alpha, 0.4), gid="outside",
    )  # fmt: skip
    width, height = (high - low) or 1.0, (top - floor) or 1.0
    axes.plot(
        np.full(unscored.sum(), low - 0.05 * width), np.clip(accuracy[unscored], floor, top),
        linestyle="none", marker="x", markersize=4, color=STATUS_COLORS["failed"], gid="dead",
    )  # fmt: skip
    axes.set_xlim(low - 0.09 * width, high + 0.04 * width)
    axes.set_ylim(floor - 0.04 * height, top + 0.04 * height)
    if outside.any():
        axes.text(
            0.98, 0.02, f"{outside.sum():,} at the edge lie beyond", transform=axes.transAxes,
            ha="right", color=MUTED, fontsize=8,
        )  # fmt: skip
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Return the range to draw: all values but far outliers, which would flatten the rest."""
    if not len(values):
        return 0.0, 1.0
    first, third = np.quantile(values, [0.25, 0.75])
    reach = FENCE * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    return float(inside.min()), float(inside.max())


def score_heatmap(rows: Sequence[RankingRow], path: Path) -> None:
    """Write the heat map of Kendall's tau: scores by columns of accuracies.

    Raises:
        OSError: the file cannot be written.
    """
    save(heatmap_figure(rows), path)


def heatmap_figure(rows: Sequence[RankingRow]) -> Figure:
    """Return the heat map as a figure: one block per group, best mean tau first in each."""
    rows = representatives(rows)
    conditions = list(dict.fromkeys((row.subset, row.column) for row in rows))
    conditions.sort(key=lambda condition: condition[0] != FULL)
    taus = {(row.proxy, (row.subset, row.column)): row.tau for row in rows}
    group = {row.proxy: row.group for row in rows}

    def sort_key(name: str) -> tuple[int, float]:
        values = [taus[name, condition] for condition in conditions]
        defined = [value for value in values if not math.isnan(value)]
        return GROUPS.index(group[name]), -(sum(defined) / len(defined) if defined else -2.0)

    names = sorted(group, key=sort_key)
    values = np.array([[taus[name, condition] for condition in conditions] for name in names])
    with style():
        figure = Figure(
            figsize=(2.6 + 1.25 * len(conditions), 1.5 + 0.36 * len(names)), dpi=150,
            facecolor="white", layout="constrained",
        )  # fmt: skip
        axes = figure.add_subplot()
        image = axes.imshow(values, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        for y, line in enumerate(values):
            for x, value in enumerate(line):
                ink = "white" if abs(value) > 0.6 else INK
                axes.text(x, y, _number(value), ha="center", va="center", color=ink, fontsize=9)
        labels = [column if s == FULL else f"{column}\n({SUBSETS[s]})" for s, column in conditions]
        axes.set_xticks(range(len(conditions)), labels, fontsize=8, color=INK)
        suffix = {"single": "", "aggregate": " (aggregate)", "fitted": " (fitted)"}
        titles = [name + suffix[group[name]] for name in names]
        axes.set_yticks(range(len(names)), titles, fontsize=9, color=INK)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for y in range(1, len(names)):
            if group[names[y]] != group[names[y - 1]]:
                axes.axhline(y - 0.5, color=INK, linewidth=1.5)
        bar = figure.colorbar(image, ax=axes, label="Kendall's tau-b")
        bar.outline.set_visible(False)
        axes.set_title("Scores against accuracies", loc="left", color=INK, fontsize=11)
    return figure
