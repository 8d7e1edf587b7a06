"""A cell drawing shows every node and operation once, without overlaps."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from nas_search.report import draw_cell
from nas_search.report.cells import COLORS, OTHER_COLORS, cell_figure, operation_color
from nas_search.spaces.base import CellEdge, CellGraph

DARTS_NODES = ("cell k-2", "cell k-1", "0", "1", "2", "3", "cell k")


def darts(genes: list[tuple[str, int]], name: str = "normal") -> CellGraph:
    edges = [
        CellEdge(DARTS_NODES[source], DARTS_NODES[2 + i // 2], op)
        for i, (op, source) in enumerate(genes)
    ]
    edges += [CellEdge(node, DARTS_NODES[-1], "") for node in DARTS_NODES[2:6]]
    return CellGraph(name, DARTS_NODES[:2], DARTS_NODES[-1], DARTS_NODES, tuple(edges))


DARTS_V2 = darts(
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
     ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)]
)  # fmt: skip
NASBENCH201 = CellGraph(
    "cell",
    ("0",),
    "3",
    ("0", "1", "2", "3"),
    (
        CellEdge("0", "1", "nor_conv_3x3"),
        CellEdge("0", "2", "nor_conv_1x1"),
        CellEdge("1", "2", "skip_connect"),
        CellEdge("0", "3", "skip_connect"),
        CellEdge("1", "3", "avg_pool_3x3"),
        CellEdge("2", "3", "nor_conv_3x3"),
    ),
)
PARALLEL = CellGraph(
    "parallel", ("a",), "b", ("a", "b"), tuple(CellEdge("a", "b", op) for op in ("x", "y", "x"))
)
EMPTY = CellGraph("empty", ("0",), "3", ("0", "1", "2", "3"), ())


@st.composite
def graphs(draw: st.DrawFn) -> CellGraph:
    count = draw(st.integers(2, 8))
    inputs = draw(st.integers(1, min(2, count - 1)))
    nodes = tuple(f"n{i}" for i in range(count))
    pairs = st.tuples(st.integers(0, count - 2), st.integers(inputs, count - 1)).filter(
        lambda p: p[0] < p[1]
    )
    labels = st.sampled_from(["", "op", "sep_conv_3x3", "a_very_long_operation_name_7x7"])
    edges = draw(st.lists(st.tuples(pairs, labels), max_size=14))
    return CellGraph(
        "random",
        nodes[:inputs],
        nodes[-1],
        nodes,
        tuple(CellEdge(nodes[a], nodes[b], label) for (a, b), label in edges),
    )


def extents(figure: Figure, pattern: str) -> dict[str, Bbox]:
    """Return the drawn boxes, in pixels, of the artists whose gid matches."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    return {
        gid: artist.get_window_extent(renderer)
        for artist in figure.axes[0].get_children()
        if (gid := artist.get_gid()) and re.fullmatch(pattern, gid)
    }


def overlap(a: Bbox, b: Bbox) -> bool:
    wide = min(a.x1, b.x1) > max(a.x0, b.x0)
    return bool(wide and min(a.y1, b.y1) > max(a.y0, b.y0))


def check_drawing(graph: CellGraph) -> None:
    figure = cell_figure(graph)
    boxes = extents(figure, r"(node|label)-\d+|title")
    labeled = [i for i, edge in enumerate(graph.edges) if edge.label]
    assert set(boxes) == {
        "title",
        *(f"node-{i}" for i in range(len(graph.nodes))),
        *(f"label-{i}" for i in labeled),
    }
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        assert not overlap(a, b), (first, second)

    for gid, text in extents(figure, r"(node|label)-text-\d+").items():
        box = boxes[gid.replace("-text", "")]
        assert box.x0 <= text.x0
        assert text.x1 <= box.x1
        assert box.y0 <= text.y0 + 2  # a text's extent has the font's descent below it
        assert text.y1 <= box.y1
    page = figure.bbox
    assert all(page.x0 <= b.x0 and b.x1 <= page.x1 for b in boxes.values())
    assert all(page.y0 <= b.y0 and b.y1 <= page.y1 for b in boxes.values())

    # A line meets its own label and ends, and no other box.
    axes = figure.axes[0]
    for patch in axes.patches:
        gid = patch.get_gid() or ""
        if not gid.startswith("edge-"):
            continue
        number = int(gid.removeprefix("edge-"))
        edge = graph.edges[number]
        own = {f"label-{number}"} | {
            f"node-{graph.nodes.index(end)}" for end in (edge.source, edge.target)
        }
        line = np.asarray(patch.get_path().to_polygons(closed_only=False)[0])
        points = np.concatenate([np.linspace(a, b, 8) for a, b in pairwise(line)])
        pixels = patch.get_transform().transform(points)
        for name, box in boxes.items():
            if name not in own:
                inside = (pixels > [box.x0, box.y0]).all(1) & (pixels < [box.x1, box.y1]).all(1)
                assert not inside.any(), (gid, name)


@pytest.mark.parametrize("graph", [DARTS_V2, NASBENCH201, PARALLEL, EMPTY], ids=lambda g: g.name)
def test_boxes_and_lines_do_not_overlap(graph: CellGraph) -> None:
    check_drawing(graph)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_and_lines_do_not_overlap_in_random_graphs(graph: CellGraph) -> None:
    check_drawing(graph)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_boxes_and_lines_do_not_overlap_in_darts_cells(source: st.DataObject) -> None:
    ops = st.sampled_from(sorted(COLORS))
    genes = [
        (source.draw(ops), j)
        for node in range(4)
        for j in source.draw(
            st.lists(st.integers(0, node + 1), min_size=2, max_size=2, unique=True)
        )
    ]
    check_drawing(darts(genes))


@pytest.mark.parametrize("graph", [DARTS_V2, NASBENCH201, PARALLEL], ids=lambda g: g.name)
def test_svg_holds_every_text_the_right_number_of_times(tmp_path: Path, graph: CellGraph) -> None:
    draw_cell(graph, tmp_path / "cell.svg", title="The best cell")
    root = ET.parse(tmp_path / "cell.svg").getroot()
    texts = Counter(e.text for e in root.iter("{http://www.w3.org/2000/svg}text"))
    labels = [edge.label for edge in graph.edges if edge.label]
    assert texts == Counter([*graph.nodes, *labels, "The best cell"])


def test_edges_have_the_color_of_their_operation() -> None:
    patches = {p.get_gid(): p for p in cell_figure(NASBENCH201).axes[0].patches}
    for i, edge in enumerate(NASBENCH201.edges):
        assert to_hex(patches[f"edge-{i}"].get_edgecolor()) == operation_color(edge.label)
    assert operation_color("mine") in OTHER_COLORS


def test_markup_in_names_is_drawn_as_written(tmp_path: Path) -> None:
    graph = CellGraph("$x$ & <b>", ("$a^2$",), "<o>", ("$a^2$", "<o>"), ())
    draw_cell(graph, tmp_path / "cell.svg")
    root = ET.parse(tmp_path / "cell.svg").getroot()
    texts = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert texts == {"$x$ & <b>", "$a^2$", "<o>"}


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_drawing_is_reproducible_under_any_user_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    draw_cell(DARTS_V2, first)
    style: dict[Any, Any] = {"svg.fonttype": "path", "font.size": 30, "patch.linewidth": 9}
    for key, value in style.items():
        monkeypatch.setitem(matplotlib.rcParams, key, value)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    draw_cell(DARTS_V2, second)
    assert first.read_bytes() == second.read_bytes()
    assert b"dc:date" not in first.read_bytes()


def test_invalid_graphs_are_refused() -> None:
    unknown = CellGraph("x", ("a",), "b", ("a", "b"), (CellEdge("a", "z", "op"),))
    with pytest.raises(ValueError, match="cell 'x' has an edge at unknown node 'z'"):
        cell_figure(unknown)
    backwards = CellGraph("x", ("a",), "b", ("a", "b"), (CellEdge("b", "a", "op"),))
    with pytest.raises(ValueError, match="cell 'x' has an edge that runs backwards"):
        cell_figure(backwards)


def test_report_imports_neither_torch_nor_pyplot() -> None:
    code = (
        "import sys, nas_search.report; "
        "print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
