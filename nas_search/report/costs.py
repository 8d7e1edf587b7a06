"""Plots of costs: scores against each cost with its bounds, and predicted against measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from nas_search.report.curve import LINE
from nas_search.report.figure import FAINT, INK, MUTED, save, style

Bound = tuple[str, float]
"""A bound as it is written on the command line, and its value."""


def cost_scatter(
    points: Sequence[tuple[float, Mapping[str, float]]],
    units: Mapping[str, str],
    bounds: Mapping[str, Sequence[Bound]],
    path: Path,
    score_name: str,
) -> None:
    """Write one panel per cost to ``path`` (.png or .svg): scores against that cost.

    Args:
        points: score and costs of every scored architecture.
        units: unit by cost, in the order of the panels.
        bounds: bounds by cost; dashed lines, named above.
        path: the file to write; its folder exists.
        score_name: name of the score.

    Raises:
        OSError: the file cannot be written.
    """
    save(cost_figure(points, units, bounds, score_name), path)


def cost_figure(
    points: Sequence[tuple[float, Mapping[str, float]]],
    units: Mapping[str, str],
    bounds: Mapping[str, Sequence[Bound]],
    score_name: str,
) -> Figure:
    """Return the plot as a figure; see :func:`cost_scatter`."""
    with style():
        size = (0.8 + 3.6 * len(units), 3.6)
        figure = Figure(figsize=size, dpi=150, facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
        for axes, (name, unit) in zip(panels, units.items(), strict=True):
            finite = [(costs[name], score) for score, costs in points if costs[name] < float("inf")]
            _dots(axes, finite, name)
            for _, value in bounds.get(name, ()):
                axes.axvline(value, color=MUTED, linewidth=1.0, linestyle="--")
            title = ", ".join(text for text, _ in bounds.get(name, ()))
            axes.set_title(title, loc="left", color=INK, fontsize=8)
            axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
            axes.set_xlabel(f"{name} ({unit})" if unit != name else name, color=INK)
        panels[0].set_ylabel(score_name, color=INK)
    return figure


def prediction_scatter(
    predicted: Sequence[float], measured: Sequence[float], path: Path, unit: str
) -> None:
    """Write predicted against measured values to ``path`` (.png or .svg), with the diagonal.

    Raises:
        OSError: the file cannot be written.
    """
    with style():
        figure = Figure(figsize=(4.4, 4.2), dpi=150, facecolor="white", layout="constrained")
        axes = figure.subplots()
        _dots(axes, list(zip(measured, predicted, strict=True)), "networks")
        ends = [min(*measured, *predicted), max(*measured, *predicted)]
        axes.plot(ends, ends, color=MUTED, linewidth=1.0, linestyle="--")
        axes.set_xlabel(f"measured ({unit})", color=INK)
        axes.set_ylabel(f"predicted by a fit without the network ({unit})", color=INK)
    save(figure, path)


def _dots(axes: Any, points: Sequence[tuple[float, float]], name: str) -> None:
    values = [x for x, _ in points], [y for _, y in points]
    axes.plot(*values, linestyle="none", marker="o", markersize=3, color=LINE, gid=name)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8)
