"""A chart of a page: a table, and which of its columns are drawn how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Mark:
    """What is drawn of a table.

    Attributes:
        kind: ``dots``, ``line`` (``steps`` holds its value until the next), ``bars``, ``band`` from
            column ``y`` to column ``high``, or ``intervals``, the same as bars of errors.
        x: column of the horizontal axis; that of categories with ``bars`` and ``intervals``.
        y: column of the vertical axis.
        name: in the legend.
        high: upper end of a ``band`` or of ``intervals``.
        where: a column and the value that rows must have in it to be drawn; all rows if empty.
        color: number of its color, from 0; -1 is that of its place among the marks.
        points: whether a line shows where its points are; a long one never does.
    """

    kind: Literal["dots", "line", "steps", "bars", "band", "intervals"]
    x: str
    y: str
    name: str
    high: str = ""
    where: tuple[str, Any] | tuple[()] = ()
    color: int = -1
    points: bool = True


@dataclass(frozen=True)
class Chart:
    """A chart with the data that it shows.

    Attributes:
        key: letters, digits and dashes; unique on its page.
        title: what it shows.
        text: how to read it, a sentence or two.
        columns: names of the table's columns.
        rows: cells that JSON has; NaN and infinity are left empty.
        marks: what is drawn, the lowest first.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        link: column whose values are keys of rows in the page's table; empty if there is none. A
            selection of points then filters that table.
        hover: columns that hovering over a point shows, of the table or of the page's table by
            ``link``; those that are drawn if empty.
        categories: whether the horizontal axis is one of names.
        lines: vertical dashed lines, each a value and what it says.
        floor: where the vertical axis begins; what lies below is not drawn. None: where it fits.
    """

    key: str
    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    marks: Sequence[Mark]
    x: str
    y: str
    link: str = ""
    hover: Sequence[str] = ()
    categories: bool = False
    lines: Sequence[tuple[float, str]] = ()
    floor: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {
            "key": self.key,
            "title": self.title,
            "columns": list(self.columns),
            "rows": plain_rows(self.rows),
            "marks": [vars(mark) for mark in self.marks],
            "x": self.x,
            "y": self.y,
            "link": self.link,
            "hover": list(self.hover),
            "categories": self.categories,
            "floor": self.floor,
            "lines": [list(line) for line in self.lines],
        }


@dataclass(frozen=True)
class Grid:
    """A table that a person sorts and filters.

    Attributes:
        key: letters, digits and dashes; unique on its page.
        title: what it lists.
        columns: names; numbers are told by their cells.
        rows: cells that JSON has.
        link: column that charts name their points by; empty if there is none.
        code: columns that hold code, which is shown in its own letters and can be long.
    """

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    link: str = ""
    code: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what the page's script shows."""
        return {
            **{key: getattr(self, key) for key in ("key", "title", "link")},
            "columns": list(self.columns),
            "rows": plain_rows(self.rows),
            "code": list(self.code),
        }


DIGITS = 9
"""Significant digits of the numbers in a page; more would double its size."""


def plain_rows(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return rows as JSON has them: NaN and infinity become None, numbers are rounded."""
    return [[_plain(cell) if isinstance(cell, float) else cell for cell in row] for row in rows]


def _plain(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
