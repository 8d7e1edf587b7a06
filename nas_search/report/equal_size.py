"""The plot of the shares of pairs of equal size that scores order rightly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_search.report.figure import FAINT, INK, MUTED, save, style
from nas_search.report.ranking import FULL, SUBSETS

if TYPE_CHECKING:  # the report room does not import torch
    from nas_search.ranking.ranking import RankingRow

PANELS = 4
"""Panels side by side."""

ABOVE, BELOW, OPEN = "#0072b2", "#d55e00", "#7b8794"
"""Blue: better than a coin; vermilion: worse; gray: the interval holds .5. Told apart by everyone
(Okabe and Ito), and by shape."""


class Share(NamedTuple):
    """A share in [0, 1] with its interval."""

    share: float
    low: float
    high: float


class Panel(NamedTuple):
    """The shares of one column of accuracies: scores by name, and the noise ceiling or NaN."""

    title: str
    shares: Mapping[str, Share]
    ceiling: float


def equal_size_plot(rows: Sequence[RankingRow], path: Path) -> None:
    """Write the plot of a ranking study: one panel per column and subset, one line per score.

    Raises:
        OSError: the file cannot be written.
    """
    panels: dict[tuple[str, str], dict[str, Share]] = {}
    ceilings = {}
    for row in rows:  # the mean over seeds comes last
        key = (row.column, row.subset)
        share = Share(row.equal_params, row.equal_params_low, row.equal_params_high)
        panels.setdefault(key, {})[row.proxy] = share
        ceilings[key] = row.ceiling_equal_params
    made = [
        Panel(key[0] if key[1] == FULL else f"{key[0]}, {SUBSETS[key[1]]}", shares, ceilings[key])
        for key, shares in panels.items()
    ]
    save(equal_size_figure(made), path)


def equal_size_figure(panels: Sequence[Panel]) -> Figure:
    """Return the plot: scores in rows, best mean share first; a dashed line at .5."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.shares))

    def mean_share(name: str) -> float:
        known = [
            panel.shares[name].share - 0.5
            for panel in panels
            if name in panel.shares and not math.isnan(panel.shares[name].share)
        ]
        return sum(known) / len(known) if known else -1.0

    names.sort(key=mean_share)
    across = min(PANELS, len(panels))
    down = -(-len(panels) // across)
    with style():
        figure = Figure(
            figsize=(1.6 + 2.7 * across, down * (1.0 + 0.25 * len(names)) + 0.4), dpi=150,
            facecolor="white", layout="constrained",
        )  # fmt: skip
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        axes_of = list(grid.ravel())
        for axes, panel in zip(axes_of, panels, strict=False):
            _panel(axes, panel, names)
        for axes in axes_of[len(panels) :]:
            axes.set_axis_off()
        axes_of[0].set_yticks(range(len(names)), names, color=INK)
        axes_of[0].set_ylim(-0.7, len(names) - 0.3)
        figure.supxlabel(
            "pairs of equal size ordered rightly, 95 % interval over networks "
            "(dashed: a coin; dotted: the most that the noise of a training allows)",
            fontsize=9, color=INK,
        )  # fmt: skip
    return figure


def _panel(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    axes.axvline(0.5, color=INK, linestyle="--", linewidth=1)
    if not math.isnan(panel.ceiling):
        axes.axvline(panel.ceiling, color=INK, linestyle=":", linewidth=1.2)
    for y, name in enumerate(names):
        one = panel.shares.get(name)
        if one is None or math.isnan(one.share):
            continue
        color, marker = OPEN, "o"
        if one.low > 0.5:
            color, marker = ABOVE, "^"
        elif one.high < 0.5:
            color, marker = BELOW, "v"
        axes.plot([one.low, one.high], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
        axes.plot([one.share], [y], marker=marker, markersize=5, color=color, linestyle="none")
    axes.set_title(panel.title, loc="left", fontsize=9, color=INK)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8)
    axes.tick_params(axis="y", length=0)
