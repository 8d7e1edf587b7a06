"""Figures without pyplot and without time stamps: the same data give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from nas_search.core.files import replacing

INK = "#1f2933"
MUTED = "#7b8794"
FAINT = "#e4e7eb"

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "nas_search",
    "svg.fonttype": "none",  # text stays text: small files that can be searched and read aloud
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "text.usetex": False,
    "text.parse_math": False,
    "path.simplify": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the package's style, independent of the user's matplotlibrc."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path`` (.svg or .png), without dates or versions in it."""
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    with style(), replacing(path) as new:
        figure.savefig(new, metadata=metadata, format=path.suffix[1:])
