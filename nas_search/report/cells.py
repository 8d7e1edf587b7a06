"""Drawings of cells: nodes as boxes from left to right, each edge labeled by its operation."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Line
from matplotlib.textpath import TextPath

from nas_search.report.figure import INK, MUTED, save, style
from nas_search.report.layout import Layout, arrange, place_rows

if TYPE_CHECKING:  # the report room does not import torch
    from nas_search.spaces.base import CellGraph

# All lengths are points (1/72 inch).
NODE_SIZE, LABEL_SIZE, TITLE_SIZE = 11.0, 9.5, 13.0
NODE_HEIGHT, LABEL_HEIGHT, SLOT_HEIGHT = 30.0, 19.0, 5.0
ROW_GAP, MARGIN, ARROW, PORT_STEP = 9.0, 16.0, 7.0, 9.0

# Published operations by family: identity gray, pooling warm, convolutions blue, green and violet.
COLORS = {
    "skip_connect": "#52606d",
    "max_pool_3x3": "#c2410c",
    "avg_pool_3x3": "#b7791f",
    "sep_conv_3x3": "#1d6fb8",
    "sep_conv_5x5": "#123f8c",
    "dil_conv_3x3": "#1a7f5a",
    "dil_conv_5x5": "#0b5345",
    "nor_conv_1x1": "#7b3fb5",
    "nor_conv_3x3": "#1d6fb8",
}
OTHER_COLORS = ("#a61e69", "#0e7490", "#4d7c0f", "#9f1239", "#6d28d9", "#92400e", "#155e75")


def operation_color(operation: str) -> str:
    """Return the color of an operation, the same in every drawing."""
    if operation in COLORS:
        return COLORS[operation]
    return OTHER_COLORS[zlib.crc32(operation.encode()) % len(OTHER_COLORS)]


def draw_cell(graph: CellGraph, path: Path, title: str | None = None) -> None:
    """Write a drawing of ``graph`` to ``path`` (.svg or .png).

    Labeled edges are colored by operation and carry their label; edges with an empty label
    (as into a concatenation) are plain gray arrows. The same graph gives the same bytes.

    Args:
        graph: the cell; edges run forward in the order of its nodes.
        path: the file to write; its folder exists.
        title: line above the drawing; the cell's name when None.

    Raises:
        ValueError: an edge names an unknown node or runs backwards.
        OSError: the file cannot be written.
    """
    save(cell_figure(graph, title), path)


def cell_figure(graph: CellGraph, title: str | None = None) -> Figure:
    """Return the drawing as a figure; artists have gids ``node-i``, ``label-i`` and ``edge-i``."""
    heading = graph.name if title is None else title
    layout, texts = arrange_cell(graph)
    with style():
        boxes = Boxes(layout, graph.nodes, texts, _text_width)
        width = max(boxes.width, _text_width(heading, TITLE_SIZE)) + 2 * MARGIN
        head = TITLE_SIZE + 14 if heading else 0.0
        height = boxes.height + head + 2 * MARGIN
        figure = Figure(figsize=(width / 72, height / 72), dpi=144, facecolor="white")
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(-MARGIN, width - MARGIN)
        axes.set_ylim(boxes.height + MARGIN, -head - MARGIN)
        axes.set_axis_off()
        if heading:
            axes.text(
                0, -head, heading, size=TITLE_SIZE, weight="bold", color=INK, va="top", gid="title"
            )
        for i, chain in enumerate(layout.chains):
            _draw_edge(axes, boxes, i, chain, layout.ports[i], texts[i])
        for i, text in enumerate(texts):
            if text:
                _draw_label(axes, boxes, i, layout.labels[i], text)
        ends = {*graph.inputs, graph.output}
        for i, name in enumerate(graph.nodes):
            _draw_node(axes, boxes, i, name, name in ends)
    return figure


def arrange_cell(graph: CellGraph) -> tuple[Layout, list[str]]:
    """Return the layout of a cell, and the labels of its edges in their order.

    Raises:
        ValueError: an edge names an unknown node or runs backwards.
    """
    number = {name: i for i, name in enumerate(graph.nodes)}
    try:
        pairs = [(number[edge.source], number[edge.target]) for edge in graph.edges]
    except KeyError as error:
        raise ValueError(f"cell '{graph.name}' has an edge at unknown node {error}") from None
    if any(source >= target for source, target in pairs):
        raise ValueError(f"cell '{graph.name}' has an edge that runs backwards in its node order")
    inputs = [number[name] for name in graph.inputs]
    layout = arrange(len(graph.nodes), pairs, inputs, number[graph.output])
    return layout, [edge.label for edge in graph.edges]


class Boxes:
    """Sizes and positions of all items, in points; x to the right, y downwards, both from 0."""

    def __init__(
        self,
        layout: Layout,
        nodes: tuple[str, ...],
        texts: list[str],
        text_width: Callable[[str, float], float],
    ) -> None:
        count = max((i for column in layout.columns for i in column), default=-1) + 1
        self.widths = [0.0] * count
        self.heights = [SLOT_HEIGHT] * count
        for i, name in enumerate(nodes):
            leaving = sum(chain[0] == i for chain in layout.chains)
            entering = sum(chain[-1] == i for chain in layout.chains)
            self.widths[i] = max(text_width(name, NODE_SIZE) + 20, NODE_HEIGHT)
            self.heights[i] = max(NODE_HEIGHT, PORT_STEP * max(leaving, entering) + 6)
        for item, text in zip(layout.labels, texts, strict=True):
            if text:
                self.widths[item] = text_width(text, LABEL_SIZE) + 14
                self.heights[item] = LABEL_HEIGHT
        self.y = place_rows(layout, self.heights, ROW_GAP, PORT_STEP)
        top = min(y - h / 2 for y, h in zip(self.y, self.heights, strict=True))
        self.y = [y - top for y in self.y]
        self.height = max(y + h / 2 for y, h in zip(self.y, self.heights, strict=True))
        self._place_columns(layout)

    def _place_columns(self, layout: Layout) -> None:
        """Set each item's x and its column's left and right; steep lines get wider gaps."""
        self.x = [0.0] * len(self.y)
        self.left = [0.0] * len(self.y)
        self.right = [0.0] * len(self.y)
        at = 0.0
        for c, column in enumerate(layout.columns):
            if c:
                rise = max(
                    (
                        abs(self.y[chain[k]] - self.y[chain[k + 1]])
                        for chain in layout.chains
                        for k in range(len(chain) - 1)
                        if chain[k + 1] in column
                    ),
                    default=0.0,
                )
                at += min(18 + 0.18 * rise, 44)
            wide = max((self.widths[item] for item in column), default=0.0)
            for item in column:
                self.left[item], self.right[item] = at, at + wide
                self.x[item] = at + wide / 2
            at += wide
        self.width = at


def _text_width(text: str, size: float) -> float:
    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), text, size=size, usetex=False).get_extents().width)


Point = tuple[float, float]


def edge_line(
    boxes: Boxes, chain: tuple[int, ...], ports: tuple[float, float]
) -> tuple[list[list[Point]], Point]:
    """Return the line of an edge and the tip of its arrow, whose head is :data:`ARROW` long.

    The line is a list of steps: where it begins, then straight ones (to one point) and curved ones
    (two control points and the end of a cubic Bezier curve).
    """
    first, last = chain[0], chain[-1]
    y = boxes.y[first] + PORT_STEP * ports[0]
    steps: list[list[Point]] = [[(boxes.x[first] + boxes.widths[first] / 2, y)]]

    def line_to(x2: float) -> None:
        steps.append([(x2, steps[-1][-1][1])])

    def curve_to(x2: float, y2: float) -> None:
        x1, y1 = steps[-1][-1]
        middle = (x1 + x2) / 2
        steps.append([(middle, y1), (middle, y2), (x2, y2)])

    line_to(boxes.right[first])
    for item in chain[1:-1]:
        curve_to(boxes.left[item], boxes.y[item])
        line_to(boxes.right[item])
    tip = boxes.x[last] - boxes.widths[last] / 2
    curve_to(boxes.left[last] - ARROW, boxes.y[last] + PORT_STEP * ports[1])
    line_to(tip - ARROW)
    return steps, (tip, steps[-1][-1][1])


def _draw_edge(
    axes: Axes,
    boxes: Boxes,
    edge: int,
    chain: tuple[int, ...],
    ports: tuple[float, float],
    text: str,
) -> None:
    """Draw a smooth line through the slots of the edge, with an arrow head at its end."""
    color = operation_color(text) if text else MUTED
    steps, (tip, y_end) = edge_line(boxes, chain, ports)
    points = [point for step in steps for point in step]
    kinds = {1: [Line.LINETO], 3: [Line.CURVE4] * 3}
    codes = [Line.MOVETO, *(code for step in steps[1:] for code in kinds[len(step)])]
    axes.add_patch(
        PathPatch(
            Line(points, codes),
            fill=False,
            edgecolor=color,
            linewidth=1.6 if text else 1.2,
            capstyle="butt",
            gid=f"edge-{edge}",
        )
    )
    head = [(tip, y_end), (tip - ARROW, y_end - ARROW / 2), (tip - ARROW, y_end + ARROW / 2)]
    axes.add_patch(Polygon(head, closed=True, facecolor=color, edgecolor="none"))


def _draw_label(axes: Axes, boxes: Boxes, edge: int, item: int, text: str) -> None:
    color = operation_color(text)
    _draw_box(axes, boxes, item, f"label-{edge}", "white", color, LABEL_HEIGHT / 2)
    axes.text(
        boxes.x[item], boxes.y[item], text, size=LABEL_SIZE, color=color,
        ha="center", va="center_baseline", gid=f"label-text-{edge}",
    )  # fmt: skip


def _draw_node(axes: Axes, boxes: Boxes, node: int, name: str, end: bool) -> None:
    fill, line = ("#d9e2ec", "#52606d") if end else ("#fff7e0", "#b7791f")
    _draw_box(axes, boxes, node, f"node-{node}", fill, line, 6.0)
    axes.text(
        boxes.x[node], boxes.y[node], name, size=NODE_SIZE, color=INK,
        ha="center", va="center_baseline", gid=f"node-text-{node}",
    )  # fmt: skip


def _draw_box(
    axes: Axes, boxes: Boxes, item: int, gid: str, fill: str, line: str, rounding: float
) -> None:
    width, height = boxes.widths[item], boxes.heights[item]
    corner = (boxes.x[item] - width / 2, boxes.y[item] - height / 2)
    axes.add_patch(
        FancyBboxPatch(
            corner, width, height,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=fill, edgecolor=line, linewidth=1.2, zorder=3, gid=gid,
        )
    )  # fmt: skip
