"""The contact sheet shows the pixels of every sample, and its labels are readable."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from nas_search.report import Row, contact_sheet
from nas_search.report.contact_sheet import CELL, sheet_figure, to_rgb

RNG = np.random.default_rng(0)


def samples(*shape: int, count: int = 3) -> list[np.ndarray]:
    return [RNG.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]


def test_every_sample_is_on_the_sheet_enlarged_without_smoothing(tmp_path: Path) -> None:
    rows = [Row("cat", 3, samples(3, 8, 12)), Row("dog", 7, samples(3, 8, 12))]
    contact_sheet(rows, tmp_path / "a.png", "title", "caption")
    sheet = np.rint(255 * matplotlib.image.imread(tmp_path / "a.png")[..., :3]).astype(int)
    times = CELL // 8
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (8 * times, 12 * times, 3))
    corners = np.argwhere(np.any(sheet != sheet[0, 0], axis=2))
    assert len(corners)
    for row in rows:
        for sample in row.samples:
            large = sample.transpose(1, 2, 0).repeat(times, 0).repeat(times, 1)
            first = np.argwhere((windows[:, :, 0, 0, 0] == large[0, 0]).all(-1))
            assert any((windows[y, x, 0] == large).all() for y, x in first)


def test_rows_are_named_with_their_counts_and_long_names_are_cut() -> None:
    rows = [Row("cat", 3, samples(1, 8, 8)), Row("x" * 90, 1234, samples(1, 8, 8))]
    figure = sheet_figure(rows, "digits", "a long caption " * 30)
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "digits" and "cat (3)" in texts and f"{'x' * 17}... (1,234)" in texts
    assert texts[1].count("\n") > 2
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
    labels = [text.get_window_extent().x1 for text in figure.texts[2:]]
    assert max(labels) < min(axes.get_window_extent().x0 for axes in figure.axes)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_channels_and_floats_become_colors(channels: int) -> None:
    eight = samples(channels, 4, 4, count=1)[0]
    shown = to_rgb(eight, 0, 1)
    expected = eight[:3] if channels in (3, 4) else eight[:1].repeat(3, 0)
    assert np.array_equal(shown, expected.transpose(1, 2, 0))
    floats = np.linspace(-2, 2, channels * 16).reshape(channels, 4, 4)
    colors = to_rgb(floats, -2, 2)
    assert colors.dtype == np.uint8 and colors.min() == 0
    assert not to_rgb(np.full((1, 4, 4), 5.0), 5, 5).any()


def test_series_are_bands_and_empty_classes_leave_a_gap(tmp_path: Path) -> None:
    rows = [Row("series", 2, samples(2, 1, 90)), Row("none read", 2, [])]
    figure = sheet_figure(rows, "title")
    assert [axes.get_gid() for axes in figure.axes] == ["series", "none read"]
    first, second = (axes.get_images()[0].get_array() for axes in figure.axes)
    assert first is not None and second is not None
    assert first.shape[0] == CELL + 6 and first.shape[1] == 3 * 96
    contact_sheet(rows, tmp_path / "a.png", "title")


def test_series_are_curves_of_one_scale() -> None:
    waves = [np.stack([np.full((1, 50), c + n / 10) for c in (0.0, 1.0, 2.0)]) for n in range(4)]
    rows = [Row("waves", 4, waves, series=True), Row("none read", 2, [], series=True)]
    figure = sheet_figure(rows, "title")
    first, second = figure.axes
    assert first.get_ylim() == second.get_ylim() and not second.get_lines()
    curves = [line for line in first.get_lines() if len(line.get_xdata()) == 50]  # type: ignore[arg-type]
    assert len(curves) == 4 * 3
    heights = [float(np.asarray(line.get_ydata())[0]) for line in curves]
    assert heights == [float(wave[channel, 0, 0]) for wave in waves for channel in range(3)]
    colors = [line.get_color() for line in curves]
    assert colors[:3] == colors[3:6] and len(set(colors[:3])) == 3
