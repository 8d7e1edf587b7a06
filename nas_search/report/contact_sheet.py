"""A contact sheet: samples of every class, as the network will see them."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_search.report.figure import FAINT, INK, MUTED, save, style

CELL = 72
"""Pixels that a sample has on the sheet in each direction, at least."""
_GAP = 6
_LABEL = 2.4  # inches, like those below
_NARROWEST = 6.5
_LINE = 0.17
_MARGIN = 0.35
_LETTER = 0.068
_DPI = 100
_LETTERS = 20
_WIDE = 150  # pixels of a series on the sheet
_COLORS = (INK, "#c2410c", "#2563eb", "#15803d", "#7e22ce", "#b7791f")
"""Of the channels of a series that are drawn."""


@dataclass(frozen=True)
class Row:
    """Samples of one class.

    Attributes:
        label: the class.
        count: how many images it has.
        samples: pixels (C, H, W) of each, uint8 or float.
        series: whether these are series in equal rows, drawn as curves.
    """

    label: str
    count: int
    samples: Sequence[np.ndarray]
    series: bool = False


def contact_sheet(rows: Sequence[Row], path: Path, title: str, caption: str = "") -> None:
    """Write samples of classes to ``path``, one row each, enlarged without smoothing.

    uint8 is shown as 0 to 255, floats from the smallest to the largest value of the sheet. Three
    or four channels are shown as red, green and blue, otherwise the first channel as gray. Series
    are curves over time, one for each of their first channels, all of one scale.

    Raises:
        OSError: the file cannot be written.
    """
    figure = sheet_figure(rows, title, caption)
    with warnings.catch_warnings():  # of letters that the font has not
        warnings.simplefilter("ignore", UserWarning)
        save(figure, path)


def sheet_figure(rows: Sequence[Row], title: str, caption: str = "") -> Figure:
    """Return the sheet as a figure; each row is an axes whose gid is its label."""
    samples = [sample for row in rows for sample in row.samples]
    low = min((float(s.min()) for s in samples), default=0.0)
    high = max((float(s.max()) for s in samples), default=1.0)
    strips = [
        np.empty((CELL, max(1, len(row.samples)) * _WIDE))
        if row.series
        else _strip([to_rgb(s, low, high) for s in row.samples])
        for row in rows
    ]
    width = _LABEL + max((strip.shape[1] for strip in strips), default=CELL) / _DPI + 0.1
    width = max(width, _NARROWEST)
    lines = textwrap.wrap(caption, int(width / _LETTER)) or [""]
    below = _LINE * (len(lines) + 1)
    height = _MARGIN + sum(strip.shape[0] for strip in strips) / _DPI + below
    with style():
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")

        def write(text: str, y: float, color: str, size: int) -> None:
            figure.text(
                0.1 / width, y / height, text, va="center", color=color, fontsize=size, wrap=False
            )

        write(title, height - _MARGIN / 2, INK, 10)
        write("\n".join(lines), below / 2, MUTED, 8)
        top = height - _MARGIN
        for row, strip in zip(rows, strips, strict=True):
            tall, wide = (n / _DPI for n in strip.shape[:2])
            top -= tall
            axes = figure.add_axes((_LABEL / width, top / height, wide / width, tall / height))
            if row.series:
                _draw_curves(axes, row.samples, low, high)
            else:
                axes.imshow(strip, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            axes.set_gid(row.label)
            name = row.label if len(row.label) <= _LETTERS else f"{row.label[: _LETTERS - 3]}..."
            write(f"{name} ({row.count:,})", top + tall / 2, INK, 9)
    return figure


def to_rgb(sample: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return (H, W, 3) uint8 of pixels (C, H, W); floats from ``low``, black, to ``high``."""
    if sample.dtype == np.uint8:
        pixels = sample
    else:
        scaled = (sample - low) / ((high - low) or 1.0)
        pixels = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    channels = pixels[:3] if len(pixels) in (3, 4) else np.repeat(pixels[:1], 3, axis=0)
    shown: np.ndarray = channels.transpose(1, 2, 0)
    return shown


def _draw_curves(axes: Axes, samples: Sequence[np.ndarray], low: float, high: float) -> None:
    """Draw series (C, rows, L) side by side, each with its zero or its lowest value as a line."""
    base = min(max(low, 0.0), high)
    for number, sample in enumerate(samples):
        steps = number + np.linspace(0.04, 0.96, sample.shape[2])
        axes.plot(steps[[0, -1]], [base, base], color=FAINT, linewidth=0.8)
        for channel, color in zip(sample[:, 0], _COLORS, strict=False):
            axes.plot(steps, channel, color=color, linewidth=0.8)
    margin = 0.05 * (high - low) or 1.0
    axes.set_xlim(0, max(1, len(samples)))
    axes.set_ylim(low - margin, high + margin)


def _strip(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Return enlarged samples side by side, (height, width, 3) uint8."""
    paper = np.array([int(FAINT[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
    cells = []
    for sample in samples:
        times = [-(-CELL // side) for side in sample.shape[:2]]
        times = times if min(sample.shape[:2]) == 1 else [max(times)] * 2  # a series is a band
        large = sample.repeat(times[0], 0).repeat(times[1], 1)
        cell = np.full((large.shape[0] + _GAP, large.shape[1] + _GAP, 3), paper)
        cell[_GAP // 2 : -_GAP // 2, _GAP // 2 : -_GAP // 2] = large
        cells.append(cell)
    return np.concatenate(cells, axis=1) if cells else np.full((CELL, CELL, 3), paper)
