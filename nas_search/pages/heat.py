"""Tables whose cells are colored by their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A cell: its text, ``warm`` above zero and ``cool`` below, and how strong, in [0, 1]."""

    text: str
    kind: str
    strength: float


@dataclass(frozen=True)
class Heat:
    """A table with a title, how to read it, and named rows of cells."""

    title: str
    text: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def cell(value: float, text: str, most: float = 1.0, ringed: bool = False) -> Cell:
    """Return a cell of ``value``; of ``most`` and beyond, its color is the strongest."""
    if math.isnan(value) or not most:
        return Cell(text, "right" if ringed else "", 0.0)
    kind = "warm" if value > 0 else "cool" if value < 0 else ""
    return Cell(text, kind + " right" * ringed, round(min(abs(value) / most, 1.0), 3))
