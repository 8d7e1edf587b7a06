"""The learning curves and the table of trained finalists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich import box
from rich.table import Table

from nas_search.report.curve import DOT, LINE
from nas_search.report.figure import FAINT, INK, MUTED, save, style

HEADINGS = {
    "rank": "",
    "key": "key",
    "status": "status",
    "score": "score",
    "validation_accuracy": "val. %",
    "test_accuracy": "test %",
    "epochs": "epochs",
    "seconds": "s",
    "params": "params",
}
"""Columns of ``finalists.csv`` that the table shows, and their headings."""


def learning_curve(log: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write loss and accuracies over epochs to ``path`` (.png or .svg).

    Args:
        log: one mapping per epoch, with the fields of :class:`nas_search.training.loop.Epoch`.
        path: the file to write; its folder exists.

    Raises:
        OSError: the file cannot be written.
    """
    with style():
        figure = Figure(figsize=(8.0, 3.6), dpi=150, facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2)
        _lines(left, log, "loss", {"training": "loss", "validation": "validation_loss"})
        _lines(
            right,
            log,
            "accuracy, %",
            {"training": "train_accuracy", "validation": "validation_accuracy"},
        )
    save(figure, path)


def finalists_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return the finalists, best first, as a table; ``columns`` names the cells of the rows."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column, heading in HEADINGS.items():
        table.add_column(
            heading, no_wrap=True, justify="left" if column in ("key", "status") else "right"
        )
    for row in rows:
        table.add_row(*(_cell(column, row[columns.index(column)]) for column in HEADINGS))
    return table


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column.endswith("accuracy"):
        return f"{value:.2f}"
    if column == "params":
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _lines(
    axes: Axes, log: Sequence[Mapping[str, float]], label: str, curves: Mapping[str, str]
) -> None:
    epochs = [row["epoch"] for row in log]
    for (name, key), color in zip(curves.items(), (DOT, LINE), strict=True):
        values = np.array([row[key] for row in log], dtype=float)
        if np.isfinite(values).any():
            marker = "o" if len(log) == 1 else ""
            axes.plot(epochs, values, color=color, marker=marker, linewidth=1.8, label=name)
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(label, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9)
    axes.legend(frameon=False, fontsize=9)
