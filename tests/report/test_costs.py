"""Plots of costs: what is drawn are the values, and the same values give the same bytes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from nas_search.report import cost_scatter, prediction_scatter
from nas_search.report.costs import cost_figure

POINTS = [(3.0, {"params": 10.0, "latency": 2.5}), (1.0, {"params": 20.0, "latency": math.inf})]
UNITS = {"params": "parameters", "latency": "ms"}
BOUNDS = {"params": [("max_params=25", 25.0), ("min_params=5", 5.0)]}


def test_each_cost_has_a_panel_with_its_bounds() -> None:
    left, right = cost_figure(POINTS, UNITS, BOUNDS, "gradalign").axes
    (dots,) = [line for line in left.lines if line.get_gid() == "params"]
    assert np.array_equal(dots.get_xydata(), [(10.0, 3.0), (20.0, 1.0)])
    others = [float(np.asarray(line.get_xdata())[0]) for line in left.lines if line is not dots]
    assert others == [25.0, 5.0]
    assert left.get_title(loc="left") == "max_params=25, min_params=5"
    (dots,) = right.lines  # what is unknown is not drawn
    assert np.array_equal(dots.get_xydata(), [(2.5, 3.0)])
    assert right.get_xlabel() == "latency (ms)"


def test_the_same_values_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        cost_scatter(POINTS, UNITS, BOUNDS, tmp_path / f"{name}.png", "gradalign")
        prediction_scatter([1.0, 2.0], [1.5, 2.5], tmp_path / f"p{name}.png", "ms")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "pa.png").read_bytes() == (tmp_path / "pb.png").read_bytes()
