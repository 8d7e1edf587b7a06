"""The search curve draws all finite scores, counts the other evaluations, draws no NaN."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.report import search_curve
from nas_search.report.curve import Point, best_so_far, curve_figure

STATUSES = ["ok", "rejected", "dead", "failed"]
SCORES = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])


def points(max_size: int = 40) -> Any:
    items = st.lists(st.tuples(SCORES, st.sampled_from(STATUSES)), max_size=max_size)
    return items.map(lambda found: [(i, s, t) for i, (s, t) in enumerate(found, 1)])


def lines(evaluations: list[Point], **options: Any) -> dict[str, Any]:
    axes = curve_figure(evaluations, **options).axes[0]
    return {gid: line for line in axes.lines if (gid := line.get_gid())}


def legend(evaluations: list[Point], **options: Any) -> list[str]:
    figure = curve_figure(evaluations, **options)
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


@settings(max_examples=100, deadline=None)
@given(points(), st.randoms())
def test_best_so_far_is_the_running_maximum(found: list[Point], random: Any) -> None:
    index, best = best_so_far(found)
    assert np.isfinite(best).all()
    assert (np.diff(best) >= 0).all()
    assert (np.diff(index) > 0).all()
    scored = [(i, s) for i, s, t in found if t == "ok" and s is not None and math.isfinite(s)]
    assert index.tolist() == [i for i, _ in scored]
    for i, b in zip(index, best, strict=True):
        assert b == max(s for j, s in scored if j <= i)
    shuffled = list(found)
    random.shuffle(shuffled)
    assert best_so_far(shuffled)[1].tolist() == best.tolist()


@settings(max_examples=15, deadline=None)
@given(points())
def test_only_finite_scores_are_drawn_and_every_evaluation_is_counted(found: list[Point]) -> None:
    drawn = lines(found)
    for line in drawn.values():
        assert np.isfinite(np.asarray(line.get_xydata(), float)).all()
    counted = sum(len(drawn[g].get_xdata()) for g in drawn if g != "best")
    assert counted == len(found)
    if "best" in drawn:
        assert (np.diff(drawn["best"].get_ydata()) >= 0).all()
        assert drawn["best"].get_drawstyle() == "steps-post"
        assert drawn["best"].get_xdata()[-1] == found[-1][0]


def test_legend_counts_every_status() -> None:
    found: list[Point] = [
        (1, 1.0, "ok"), (2, None, "failed"), (3, 3.0, "ok"), (4, None, "failed"),
        (5, None, "dead"), (6, None, "rejected"), (7, math.nan, "ok"), (8, 9.0, "dead"),
        (9, 2.0, "ok"),
    ]  # fmt: skip
    assert set(legend(found, random_phase=4)) == {
        "random phase (first 4)", "evaluated (3)", "best so far: 3, found as no. 3", "failed (2)",
        "dead (2)", "rejected (1)", "no score (1)",
    }  # fmt: skip


def test_evaluations_are_counted_from_one_as_in_the_tables() -> None:
    found: list[Point] = [(n, float(n), "ok") for n in range(1, 11)]
    axes = curve_figure(found, random_phase=4).axes[0]
    low, high = axes.get_xlim()
    assert 0 < low < 1 and 10 < high < 11
    (phase,) = (patch for patch in axes.patches if "random phase" in str(patch.get_label()))
    assert phase.get_extents().transformed(axes.transData.inverted()).intervalx.tolist() == (
        pytest.approx([0.5, 4.5])
    )
    assert "best so far: 10, found as no. 10" in legend(found)


def test_far_outliers_below_do_not_flatten_the_curve() -> None:
    found: list[Point] = [*((i, math.sin(i), "ok") for i in range(100)), (100, -1e9, "ok")]
    axes = curve_figure(found).axes[0]
    assert axes.get_ylim()[0] > -3
    assert "below the axis (1)" in legend(found)
    assert "evaluated (101)" in legend(found)


def test_best_score_is_always_inside_the_axes() -> None:
    found: list[Point] = [*((i, 0.0, "ok") for i in range(50)), (50, 1e9, "ok")]
    assert curve_figure(found).axes[0].get_ylim()[1] > 1e9


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], "nothing evaluated yet"),
        ([(0, None, "failed"), (1, math.nan, "ok")], "no evaluation has a score"),
    ],
)
def test_empty_curve_has_a_note(tmp_path: Path, found: list[Point], text: str) -> None:
    search_curve(found, tmp_path / "search.png")
    texts = [t.get_text() for t in curve_figure(found).axes[0].texts]
    assert texts == [text]


@pytest.mark.parametrize("found", [[(0, 1.5, "ok")], [(0, -2.0, "ok"), (1, -2.0, "ok")]])
def test_one_point_and_equal_points_are_drawn(tmp_path: Path, found: list[Point]) -> None:
    search_curve(found, tmp_path / "search.png", "gradalign", "random search")
    assert (tmp_path / "search.png").stat().st_size > 5_000


def test_curve_of_100_000_evaluations_is_a_small_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found: list[Point] = [(i, float(s), "ok") for i, s in enumerate(rng.normal(size=100_000))]
    search_curve(found, tmp_path / "search.png", random_phase=100)
    assert (tmp_path / "search.png").stat().st_size < 1_000_000


def test_labels_name_score_and_algorithm() -> None:
    axes = curve_figure([(0, 1.0, "ok")], "gradalign", "regularized evolution").axes[0]
    assert axes.get_ylabel() == "gradalign (higher is better)"
    assert axes.get_xlabel() == "evaluation"
    assert axes.get_title(loc="left") == "regularized evolution: 1 evaluation"


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_curve_is_reproducible_under_any_user_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    found: list[Point] = [(i, float(i % 7), STATUSES[i % 5 and 1]) for i in range(60)]
    for name, size in (("a", 10), ("b", 30)):
        monkeypatch.setitem(matplotlib.rcParams, "font.size", size)
        search_curve(found, tmp_path / f"{name}{suffix}", "gradalign", "random", 10)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
