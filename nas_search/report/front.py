"""Reports of a search with several objectives: the leaderboard by fronts, and their picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich import box
from rich.table import Table

from nas_search.core.files import write_csv
from nas_search.core.objectives import Objective, Objectives
from nas_search.report.curve import DOT, FENCE, LINE
from nas_search.report.figure import FAINT, INK, MUTED, save, style
from nas_search.report.files import cost_column, cost_names
from nas_search.report.table import human, told
from nas_search.search.fronts import Ranked

CHOSEN = "#c2410c"


def write_front_leaderboard(
    path: Path,
    ranked: Sequence[Ranked],
    objectives: Objectives,
    truths: Sequence[Mapping[str, float | None]] = (),
) -> None:
    """Write all that have every objective, front by front, as ``ranked_by_fronts`` returns them.

    Args:
        path: the file.
        ranked: the architectures.
        objectives: what was searched for.
        truths: true accuracies of each architecture by column, if a table has them.
    """
    columns = list(truths[0]) if truths else []
    names = headings(ranked, objectives)
    costs = [name for name in ("params", "macs") if name not in names]
    kept = cost_names([one.evaluation for one in ranked[:1]])
    kept = [name for name in kept if cost_column(name) not in names]
    rows = [
        [
            rank,
            one.front,
            one.crowding,
            *map(_whole, one.values),
            *(truths[rank - 1][column] for column in columns),
            *(getattr(one.evaluation, name) for name in costs),
            *(one.evaluation.costs.get(name, "") for name in kept),
            one.number,
            one.evaluation.genotype,
        ]
        for rank, one in enumerate(ranked, 1)
    ]
    header = ["rank", "front", "crowding", *names, *columns, *costs, *map(cost_column, kept)]
    write_csv(path, [*header, "number", "genotype"], rows)


def headings(ranked: Sequence[Ranked], objectives: Objectives) -> list[str]:
    """Return the columns of the objectives, as ``history.csv`` names them too.

    A cost at the sizes that the search names is ``cost_macs``; ``macs`` alone is that of the
    network that was scored.
    """
    kept = ranked[0].evaluation.costs if ranked else {}
    return [cost_column(one.name) if one.name in kept else one.name for one in objectives]


def front_table(
    ranked: Sequence[Ranked],
    objectives: Objectives,
    top: int,
    truths: Sequence[Mapping[str, float | None]] = (),
) -> Table:
    """Return the first ``top`` of ``ranked`` as a table; ``truths`` as for the leaderboard."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    columns = list(truths[0]) if truths else []
    for heading in ("rank", "front", *headings(ranked, objectives), *columns, "found as no."):
        table.add_column(heading, justify="right", overflow="fold")
    for rank, one in enumerate(ranked[:top], 1):
        known = [told(column, truths[rank - 1][column]) for column in columns]
        table.add_row(
            str(rank),
            str(one.front),
            *map(_shown, one.values),
            *known,
            str(one.number),
        )
    return table


def front_plot(
    ranked: Sequence[Ranked],
    objectives: Objectives,
    volumes: Sequence[tuple[int, float]],
    path: Path,
    chosen: int,
) -> None:
    """Write the first objective against each other one, and the hypervolume over the search.

    Args:
        ranked: the architectures, as ``ranked_by_fronts`` returns them; one or more.
        objectives: what was searched for, two or more.
        volumes: number of an evaluation from 1, and the hypervolume after it.
        path: the file to write (.png or .svg); its folder exists.
        chosen: how many of the first front are marked by their rank.

    Raises:
        OSError: the file cannot be written.
    """
    save(front_figure(ranked, objectives, volumes, chosen), path)


def front_figure(
    ranked: Sequence[Ranked],
    objectives: Objectives,
    volumes: Sequence[tuple[int, float]],
    chosen: int,
) -> Figure:
    """Return the picture as a figure; gids are ``all``, ``front``, ``chosen``, ``hypervolume``."""
    with style():
        panels = len(objectives)
        figure = Figure(
            figsize=(4.2 * panels, 4.2), dpi=150, facecolor="white", layout="constrained"
        )
        axes = figure.subplots(1, panels)
        for column in range(1, panels):
            _draw_pair(axes[column - 1], ranked, objectives, column, chosen)
        _draw_volumes(axes[-1], volumes)
        for one in axes:
            one.grid(color=FAINT, linewidth=0.8)
            one.set_axisbelow(True)
            one.spines[["top", "right"]].set_visible(False)
            one.spines[["left", "bottom"]].set_color(MUTED)
            one.tick_params(colors=INK, labelsize=9)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9
        )
    return figure


def _draw_pair(
    axes: Axes, ranked: Sequence[Ranked], objectives: Objectives, column: int, chosen: int
) -> None:
    points = np.array([[one.values[column], one.values[0]] for one in ranked])
    first = np.array([one.front == 1 for one in ranked])
    low_x, high_x = _limits(points[:, 0], objectives[column])
    low_y, high_y = _limits(points[:, 1], objectives[0])
    inside = (
        (points[:, 0] >= low_x) & (points[:, 0] <= high_x)
        & (points[:, 1] >= low_y) & (points[:, 1] <= high_y)
    ) | first  # fmt: skip
    beyond = f", {(~inside).sum():,} of them beyond the axes" if not inside.all() else ""
    axes.plot(
        *points[inside].T, linestyle="none", marker="o", markersize=4, color=DOT, alpha=0.5,
        markeredgewidth=0, gid="all", label=f"scored ({len(points):,}{beyond})",
    )  # fmt: skip
    front = points[first]
    front = front[np.argsort(front[:, 0] * -objectives[column].weight, kind="stable")]
    axes.plot(
        *front.T, linestyle="-" if len(objectives) == 2 else "none", drawstyle="steps-post",
        marker="o", markersize=4.5, color=LINE, linewidth=1.4, gid="front",
        label=f"the front ({len(front):,})",
    )  # fmt: skip
    marked = points[: min(chosen, len(front))]
    axes.plot(
        *marked.T, linestyle="none", marker="o", markersize=10, markerfacecolor="none",
        markeredgecolor=CHOSEN, markeredgewidth=1.5, gid="chosen",
        label=f"rank 1 to {len(marked)}",
    )  # fmt: skip
    for rank, (x, y) in enumerate(marked, 1):
        axes.annotate(
            str(rank), (x, y), xytext=(6, -11), textcoords="offset points", color=CHOSEN, fontsize=9
        )
    margins = 0.05 * ((high_x - low_x) or 1.0), 0.05 * ((high_y - low_y) or 1.0)
    axes.set_xlim(low_x - margins[0], high_x + margins[0])
    axes.set_ylim(low_y - margins[1], high_y + margins[1])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if points[:, 0].max() >= 1000:
        axes.xaxis.set_major_formatter(lambda value, _: human(round(value)))
    if points[:, 1].max() >= 1000:
        axes.yaxis.set_major_formatter(lambda value, _: human(round(value)))
    axes.set_xlabel(_said(objectives[column]), color=INK)
    axes.set_ylabel(_said(objectives[0]), color=INK)


def _draw_volumes(axes: Axes, volumes: Sequence[tuple[int, float]]) -> None:
    numbers, values = zip(*volumes, strict=True)
    axes.plot(numbers, values, drawstyle="steps-post", color=LINE, linewidth=1.8, gid="hypervolume")
    axes.set_ylim(0.0, max(1e-9, values[-1]) * 1.05)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("evaluation", color=INK)
    axes.set_ylabel("hypervolume of the front so far", color=INK)


def _limits(values: np.ndarray, objective: Objective) -> tuple[float, float]:
    """Return the range of an axis: all values but those far behind, which flatten the rest."""
    gains = values * objective.weight
    first, third = np.quantile(gains, [0.25, 0.75])
    kept = values[gains >= first - FENCE * (third - first)] if third > first else values
    return float(kept.min()), float(kept.max())


def _said(objective: Objective) -> str:
    return f"{objective.name} ({'lower' if objective.minimize else 'higher'} is better)"


def _whole(value: float) -> float | int:
    """Return a count as the integer that it is."""
    return int(value) if math.isfinite(value) and value == int(value) else value


def _shown(value: float) -> str:
    return human(int(value)) if value == int(value) and abs(value) >= 1000 else f"{value:.5g}"
