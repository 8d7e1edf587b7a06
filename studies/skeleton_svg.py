"""Drawings of a search space: the network from left to right, below it what is searched.

A row of boxes is the network, stem to classifier; yellow is searched, white is fixed. Below it
stand cells or blocks, drawn as in reports. A picture has a light ground of its own, so that it can
be read on light and on dark pages; the same architecture gives the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from nas_search.pages.cell_svg import cell_svg
from nas_search.spaces.base import CellGraph

WIDEST = 860.0
"""Points after which a row of boxes or of cells goes on below."""

BOX, GAP, ROW, MARGIN = 46.0, 20.0, 22.0, 16.0
FONT, SMALL = 12.0, 10.5
MONO = 0.602
"""Width of a letter over the size of its font."""

COLORS = {"end": "#d9e2ec", "fixed": "#ffffff", "searched": "#fff7e0"}
STYLE = """
text { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2933 }
.small { fill: #52606d } .many { font-weight: bold; fill: #b7791f } .title { font-weight: bold }
.cell text { text-anchor: middle }
.edge path { fill: none; stroke: #7b8794; stroke-width: 1.2 }
.edge path.head { fill: #7b8794; stroke: none }
.op path { stroke: var(--op); stroke-width: 1.8 } .op path.head { fill: var(--op); stroke: none }
.label rect { fill: #ffffff; stroke: var(--op); stroke-width: 1.2 } .label text { fill: var(--op) }
.node rect { fill: #fff7e0; stroke: #b7791f; stroke-width: 1.2 }
.node.end rect { fill: #d9e2ec; stroke: #52606d }
"""


@dataclass(frozen=True)
class Box:
    """A part of the network.

    Attributes:
        title: what it is.
        note: its sizes; empty for none.
        kind: a key of :data:`COLORS`.
        times: how often it follows itself.
    """

    title: str
    note: str = ""
    kind: str = "fixed"
    times: int = 1

    @property
    def width(self) -> float:
        """Width in points."""
        longest = max(len(self.title) * FONT, len(self.note) * SMALL)
        return MONO * longest + 14


Cell = tuple[str, CellGraph]
"""A cell or block, and what stands above it."""


def picture(title: str, boxes: Sequence[Box], cells: Sequence[Cell]) -> str:
    """Return the drawing as the text of an SVG file; ``title`` is what is read aloud."""
    rows, right, bottom = _skeleton(boxes)
    drawn, wide, bottom = _cells(cells, bottom)
    width, height = max(right, wide) + MARGIN, bottom + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#f7f9fb"/>\n'
        + "\n".join([*rows, *drawn])
        + "\n</svg>\n"
    )


def _skeleton(boxes: Sequence[Box]) -> tuple[list[str], float, float]:
    """Return the drawing of the network, where it ends to the right, and below."""
    parts, x, y, right = [], MARGIN, MARGIN + 16, 0.0
    for number, box in enumerate(boxes):
        if number and x + GAP + box.width > WIDEST:
            parts.append(_arrow(x, y + BOX / 2))
            right = max(right, x + GAP)
            x, y = MARGIN + GAP, y + BOX + ROW + 16
            parts.append(_arrow(x - GAP, y + BOX / 2))
        elif number:
            parts.append(_arrow(x, y + BOX / 2))
            x += GAP
        parts.append(_box(box, x, y))
        x += box.width
        right = max(right, x)
    return parts, right, y + BOX


def _box(box: Box, x: float, y: float) -> str:
    middle, center = x + box.width / 2, y + BOX / 2
    first = center + (-3 if box.note else 4)
    many = _text(f"x {box.times}", middle, y - 5, SMALL, "many") if box.times > 1 else ""
    note = _text(box.note, middle, center + 13, SMALL, "small") if box.note else ""
    line = "#b7791f" if box.kind == "searched" else "#7b8794"
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{BOX:g}" rx="5" '
        f'fill="{COLORS[box.kind]}" stroke="{line}" stroke-width="1.2"/>'
    )
    return rect + _text(box.title, middle, first, FONT, "") + note + many


def _arrow(x: float, y: float) -> str:
    tip = x + GAP - 2
    return (
        f'<path d="M{x + 2:.1f},{y:.1f} H{tip - 6:.1f}" stroke="#7b8794" stroke-width="1.2"/>'
        f'<path d="M{tip:.1f},{y:.1f} l-7,-3.5 v7 z" fill="#7b8794"/>'
    )


def _text(words: str, x: float, y: float, size: float, kind: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"'
        + (f' class="{kind}"' if kind else "")
        + f">{escape(words)}</text>"
    )


def _cells(cells: Sequence[Cell], top: float) -> tuple[list[str], float, float]:
    """Return the drawings of cells below ``top``, where they end to the right, and below."""
    parts, x, y, right, bottom = [], MARGIN, top + ROW, 0.0, top
    for title, graph in cells:
        drawing = str(cell_svg(graph, title))
        width, height = (_attribute(drawing, name) for name in ("width", "height"))
        width = max(width, MONO * FONT * len(title))
        if x > MARGIN and x + width > WIDEST:
            x, y = MARGIN, bottom + ROW
        parts.append(_text(title, x, y + 12, FONT, "title", "start"))
        placed = f'<svg class="cell" x="{x:.1f}" y="{y + 18:.1f}"'
        parts.append(drawing.replace('<svg class="cell"', placed, 1))
        right, bottom = max(right, x + width), max(bottom, y + 18 + height)
        x += width + GAP
    return parts, right, bottom


def _attribute(drawing: str, name: str) -> float:
    return float(drawing.split(f'{name}="', 1)[1].split('"', 1)[0])
