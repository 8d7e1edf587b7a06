"""The curve of a search against a table: true accuracy of the best so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas_search.report.curve import LINE
from nas_search.report.figure import FAINT, INK, MUTED, save, style

Incumbent = tuple[int, float, Mapping[str, "float | None"]]
"""Number of an evaluation from 1, its score, its true accuracies by column."""


def truth_curve(
    incumbents: Sequence[Incumbent],
    last: int,
    best: Mapping[str, float],
    path: Path,
    score_name: str,
) -> None:
    """Write the curve to ``path`` (.png or .svg), one panel per column.

    Args:
        incumbents: every evaluation with the highest score so far, in order.
        last: number of evaluations.
        best: the table's highest accuracy by column, in the order of the panels.
        path: the file to write; its folder exists.
        score_name: name of the fitness.

    Raises:
        OSError: the file cannot be written.
    """
    save(truth_figure(incumbents, last, best, score_name), path)


def truth_figure(
    incumbents: Sequence[Incumbent], last: int, best: Mapping[str, float], score_name: str
) -> Figure:
    """Return the curve as a figure; see :func:`truth_curve`."""
    with style():
        size = (8.0, 0.9 + 1.6 * len(best))
        figure = Figure(figsize=size, dpi=150, facecolor="white", layout="constrained")
        panels = figure.subplots(len(best), sharex=True, squeeze=False)[:, 0]
        for axes, (column, top) in zip(panels, best.items(), strict=True):
            accuracies = [(n, truth[column]) for n, _, truth in incumbents]
            points = [(n, value) for n, value in accuracies if value is not None]
            if points:
                numbers, values = [n for n, _ in points], [v for _, v in points]
                axes.plot(
                    [*numbers, last], [*values, values[-1]], drawstyle="steps-post", color=LINE,
                    linewidth=1.8, gid=column,
                )  # fmt: skip
                axes.plot(numbers, values, linestyle="none", marker="o", markersize=3, color=LINE)
                title = f"{column}: {values[-1]:.2f}, regret {top - values[-1]:.2f}"
            else:
                title = f"{column}: not in the table"
            axes.axhline(top, color=MUTED, linewidth=1.0, linestyle="--")
            axes.set_title(title, loc="left", color=INK, fontsize=10)
            axes.set_ylabel("%", color=INK)
            axes.grid(axis="y", color=FAINT, linewidth=0.8)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(MUTED)
            axes.tick_params(colors=INK, labelsize=9)
        panels[-1].set_xlim(1, max(last, 2))
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[-1].set_xlabel("evaluation", color=INK)
        figure.suptitle(
            f"True accuracy of the best {score_name} so far (dashed: the table's best)",
            x=0.01, ha="left", color=INK, fontsize=11,
        )  # fmt: skip
    return figure
