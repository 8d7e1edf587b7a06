"""Drawings of cells within a page: the layout of the files, in colors that follow the page's."""

from __future__ import annotations

import functools
from html import escape

from markupsafe import Markup

from nas_search.report.cells import (
    ARROW,
    LABEL_HEIGHT,
    LABEL_SIZE,
    MARGIN,
    NODE_SIZE,
    Boxes,
    arrange_cell,
    edge_line,
    operation_color,
)
from nas_search.spaces.base import CellGraph

LETTER = 0.602
"""Width of a letter of a font of equal widths, per its size."""


def cell_svg(graph: CellGraph, title: str) -> Markup:
    """Return the drawing of a cell as an SVG element; ``title`` is what is read aloud.

    Raises:
        ValueError: an edge names an unknown node or runs backwards.
    """
    size, drawing = _drawing(graph)
    words = escape(spoken(graph, title))
    # Every text in it was escaped.
    return Markup(f'<svg class="cell" {size} role="img" aria-label="{words}">{drawing}</svg>')


@functools.lru_cache(maxsize=256)
def _drawing(graph: CellGraph) -> tuple[str, str]:
    """Return the attributes of size and the content; cells that a mutation left are known."""
    layout, labels = arrange_cell(graph)
    boxes = Boxes(layout, graph.nodes, labels, _width)
    width, height = boxes.width + 2 * MARGIN, boxes.height + 2 * MARGIN
    parts = []
    for chain, ports, label in zip(layout.chains, layout.ports, labels, strict=True):
        steps, (tip, y) = edge_line(boxes, chain, ports)
        line = [" ".join(f"{a:.1f},{b:.1f}" for a, b in step) for step in steps]
        kinds = ["M", *({1: "L", 3: "C"}[len(step)] for step in steps[1:])]
        path = " ".join(kind + points for kind, points in zip(kinds, line, strict=True))
        color = f' style="--op:{operation_color(label)}"' if label else ""
        head = f"M{tip:.1f},{y:.1f} l{-ARROW:g},{-ARROW / 2:g} v{ARROW:g} z"
        parts.append(f'<g class="edge{" op" * bool(label)}"{color}><path d="{path}"/>')
        parts.append(f'<path class="head" d="{head}"/></g>')
    for item, label in zip(layout.labels, labels, strict=True):
        if label:
            style = f' style="--op:{operation_color(label)}"'
            parts.append(_box(boxes, item, label, f'class="label op"{style}', LABEL_HEIGHT / 2))
    ends = {*graph.inputs, graph.output}
    for item, name in enumerate(graph.nodes):
        kind = "node end" if name in ends else "node"
        parts.append(_box(boxes, item, name, f'class="{kind}"', 6.0))
    corner = f"{-MARGIN:g} {-MARGIN:g} {width:.1f} {height:.1f}"
    size = f'width="{width:.0f}" height="{height:.0f}" style="--w:{width:.0f}px"'
    return f'viewBox="{corner}" {size}', "".join(parts)


def spoken(graph: CellGraph, title: str) -> str:
    """Return a cell in words."""
    said = [
        f"{edge.source} to {edge.target} by {edge.label}" if edge.label else
        f"{edge.source} to {edge.target}"
        for edge in graph.edges
    ]  # fmt: skip
    return f"{title}: {'; '.join(said)}"


def _width(text: str, size: float) -> float:
    return LETTER * size * len(text)


def _box(boxes: Boxes, item: int, text: str, attributes: str, rounding: float) -> str:
    width, height = boxes.widths[item], boxes.heights[item]
    x, y = boxes.x[item], boxes.y[item]
    size = LABEL_SIZE if "label" in attributes else NODE_SIZE
    return (
        f'<g {attributes}><rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" rx="{rounding:g}"/>'
        f'<text x="{x:.1f}" y="{y + size * 0.35:.1f}" font-size="{size:g}">{escape(text)}</text>'
        "</g>"
    )
