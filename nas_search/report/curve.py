"""The search curve: every evaluation as a dot, the best so far as a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nas_search.report.figure import FAINT, INK, MUTED, save, style

Point = tuple[int, "float | None", str]
"""Number of an evaluation from 1, as in the tables; its score, its status."""

DOT, LINE, PHASE = "#6ea8d9", "#123f8c", "#fdf3d7"
NO_SCORE = "no score"  # status ok, but no finite score
STATUS_COLORS = {
    "rejected": "#b7791f",
    "dead": "#52606d",
    "failed": "#b91c1c",
    NO_SCORE: "#7b3fb5",
}
FENCE = 4.0  # outliers are dots more interquartile ranges than this below the first quartile


def best_so_far(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers (k,) and running maxima (k,) of the evaluations with a finite score.

    The numbers rise and the maxima never fall; any status but ``ok`` counts as no score.
    """
    scored = sorted((i, s) for i, s, status in points if _is_scored(s, status))
    index = np.array([i for i, _ in scored], dtype=np.int64)
    score = np.array([s for _, s in scored], dtype=np.float64)
    return index, np.maximum.accumulate(score)


def search_curve(
    evaluations: Sequence[Point],
    path: Path,
    score_name: str = "score",
    algorithm: str = "",
    random_phase: int | None = None,
) -> None:
    """Write the search curve to ``path`` (.png or .svg).

    Args:
        evaluations: (number from 1, score or None, status) of each, in any order. Only those with
            status ``ok`` and a finite score are drawn as dots; the others are ticks at the bottom.
        path: the file to write; its folder exists.
        score_name: the y axis; higher is better.
        algorithm: name of the algorithm, for the title.
        random_phase: number of initial evaluations drawn at random (the population size); shaded.

    Raises:
        OSError: the file cannot be written.
    """
    save(curve_figure(evaluations, score_name, algorithm, random_phase), path)


def curve_figure(
    evaluations: Sequence[Point],
    score_name: str = "score",
    algorithm: str = "",
    random_phase: int | None = None,
) -> Figure:
    """Return the search curve as a figure; the line's gid is ``best``, the dots' ``scores``."""
    with style():
        figure = Figure(figsize=(8.0, 4.5), dpi=150, facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        last = max(1, *(number for number, _, _ in evaluations), 1)
        if random_phase:
            axes.axvspan(
                0.5, min(random_phase, last) + 0.5,
                color=PHASE, lw=0, zorder=0, label=f"random phase (first {random_phase})",
            )  # fmt: skip
        _draw_scores(axes, evaluations, last)
        _draw_unscored(axes, evaluations)
        _dress(figure, axes, evaluations, score_name, algorithm, last)
    return figure


def _is_scored(score: float | None, status: str) -> bool:
    return status == "ok" and score is not None and math.isfinite(score)


def _opacity(count: int) -> float:
    """Return the alpha of ``count`` marks; many are translucent, to show their density."""
    return 1.0 if count < 1000 else 0.3


def _draw_scores(axes: Axes, evaluations: Sequence[Point], last: int) -> None:
    index, best = best_so_far(evaluations)
    if not len(index):
        axes.set_yticks([])
        text = "no evaluation has a score" if evaluations else "nothing evaluated yet"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=MUTED)
        return
    score = np.array([s for _, s in sorted((i, s) for i, s, t in evaluations if _is_scored(s, t))])
    low, high = _limits(score)
    shown = score >= low
    size = float(np.clip(60 / math.sqrt(len(score)), 1.0, 5.0))
    axes.plot(
        index[shown], score[shown], linestyle="none", marker="o", markersize=size, color=DOT,
        markeredgewidth=0, alpha=_opacity(len(score)), gid="scores",
        label=f"evaluated ({len(score):,})",
    )  # fmt: skip
    if not shown.all():
        axes.plot(
            index[~shown], np.full((~shown).sum(), low), linestyle="none", marker="v",
            markersize=4, color=DOT, markeredgewidth=0, alpha=_opacity((~shown).sum()), gid="below",
            label=f"below the axis ({(~shown).sum():,})",
        )  # fmt: skip
    at = int(index[np.argmax(best)])
    axes.plot(
        np.append(index, last), np.append(best, best[-1]), drawstyle="steps-post", color=LINE,
        linewidth=1.8, gid="best", label=f"best so far: {best[-1]:.5g}, found as no. {at:,}",
    )  # fmt: skip
    axes.plot([at], [best[-1]], marker="*", markersize=11, color=LINE, markeredgecolor="white")
    margin = (high - low) or abs(high) or 1.0
    axes.set_ylim(low - 0.12 * margin, high + 0.08 * margin)


def _limits(score: np.ndarray) -> tuple[float, float]:
    """Return the y range: all scores but far outliers below, which would flatten the rest."""
    first, third = np.quantile(score, [0.25, 0.75])
    fence = first - FENCE * (third - first)
    inside = score[score >= fence] if third > first else score
    return float(inside.min()), float(score.max())


def _draw_unscored(axes: Axes, evaluations: Sequence[Point]) -> None:
    """Draw a tick at the bottom for each evaluation without a score, one row per status."""
    groups: dict[str, list[int]] = {}
    for index, score, status in evaluations:
        if not _is_scored(score, status):
            groups.setdefault(NO_SCORE if status == "ok" else status, []).append(index)
    for row, status in enumerate(sorted(groups)):
        axes.plot(
            groups[status], np.full(len(groups[status]), 0.015 + 0.025 * row), linestyle="none",
            marker="|", markersize=7, markeredgewidth=1.0, color=STATUS_COLORS.get(status, MUTED),
            alpha=_opacity(len(groups[status])), transform=axes.get_xaxis_transform(),
            gid=f"status-{status}",
            label=f"{status} ({len(groups[status]):,})",
        )  # fmt: skip


def _dress(
    figure: Figure,
    axes: Axes,
    evaluations: Sequence[Point],
    score_name: str,
    algorithm: str,
    last: int,
) -> None:
    axes.set_xlim(0.5 - 0.01 * last, last + 0.5 + 0.01 * last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.xaxis.set_major_formatter(lambda value, _: f"{round(value):,}")
    axes.set_xlabel("evaluation", color=INK)
    axes.set_ylabel(f"{score_name} (higher is better)", color=INK)
    count = f"{len(evaluations):,} evaluation{'' if len(evaluations) == 1 else 's'}"
    title = f"{algorithm}: {count}" if algorithm else count
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9)
    if axes.get_legend_handles_labels()[0]:
        legend = figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        for handle in legend.legend_handles:  # large and opaque enough to see
            if isinstance(handle, Line2D):
                handle.set(markersize=6, alpha=1.0)
