"""The images in a search's report: few, small, and none where they cannot be or shall not."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from nas_search.commands.samples import BYTES, CLASSES, LARGEST, SHEET, write_samples
from nas_search.core.errors import InputError
from nas_search.data import ImageData
from nas_search.data.base import Split
from nas_search.pages.run_page import run_page
from nas_search.runs.run import open_run
from tests.pages.material import make_run


def noise(side: int, classes: int, channels: int = 3) -> ImageData:
    """Return data of random pixels, which no format can compress, five images a class."""
    labels = torch.arange(5 * classes) % classes
    shape = (len(labels), channels, side, side)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    images = torch.from_numpy(pixels)
    empty = (0.0,) * channels
    part = Split("noise", labels, lambda rows: images[rows], empty, empty)
    names = tuple(f"<b>{n}" for n in range(classes))
    return ImageData("noise", names, (channels, side, side), empty, empty, part, part)


def written(data: ImageData, folder: Path, count: int = 3) -> str:
    """Write the samples; return what was said."""
    console = Console(file=io.StringIO())
    folder.mkdir(exist_ok=True)
    write_samples(data, count, folder, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("side", "classes"), [(8, 3), (64, 10), (224, 30)])
def test_the_sheet_stays_small_whatever_the_images_are(
    tmp_path: Path, side: int, classes: int
) -> None:
    assert written(noise(side, classes), tmp_path) == ""
    assert 0 < (tmp_path / SHEET).stat().st_size <= BYTES
    pixels = matplotlib.image.imread(tmp_path / SHEET)
    rows = pixels.shape[0] / LARGEST
    assert min(classes, CLASSES) <= rows <= 2.2 * min(classes, CLASSES) + 2
    assert pixels.std() > 0.1


def test_pixels_of_small_images_are_on_it_as_they_are(tmp_path: Path) -> None:
    data = noise(8, 2)
    written(data, tmp_path, 1)
    shown = np.rint(255 * matplotlib.image.imread(tmp_path / SHEET)[..., :3]).astype(int)
    colors = {tuple(one) for one in shown.reshape(-1, 3).tolist()}
    first = data.train.raw(torch.tensor([0]))[0].flatten(1).T.tolist()
    assert {tuple(one) for one in first} <= colors


def test_none_are_shown_of_series_and_where_nobody_wants_them(tmp_path: Path) -> None:
    written(dataclasses.replace(noise(8, 2), series=True), tmp_path)
    written(noise(8, 2), tmp_path, 0)
    assert not (tmp_path / SHEET).exists()
    written(noise(8, 2), tmp_path)
    written(noise(8, 2), tmp_path, 0)  # a search that is started again: not those of before, either
    assert not (tmp_path / SHEET).exists()


def test_more_than_there_are_is_all_and_soon(tmp_path: Path) -> None:
    written(noise(8, 2), tmp_path / "all", 5)
    written(noise(8, 2), tmp_path / "more", 10**9)
    assert (tmp_path / "all" / SHEET).read_bytes() == (tmp_path / "more" / SHEET).read_bytes()


def test_images_that_cannot_be_read_are_a_line_and_no_failure(tmp_path: Path) -> None:
    def broken(_: Tensor) -> Tensor:
        raise InputError("cat.png is no picture")

    data = noise(8, 2)
    part = dataclasses.replace(data.train, read=broken)
    assert written(dataclasses.replace(data, train=part), tmp_path) == ""  # names and counts alone
    assert (tmp_path / SHEET).exists()

    def lost(_: Tensor) -> Tensor:
        raise RuntimeError("the disk\nis gone")

    part = dataclasses.replace(data.train, read=lost)
    (tmp_path / SHEET).unlink()
    said = written(dataclasses.replace(data, train=part), tmp_path)
    assert said == "the report shows no images of the data (the disk is gone)\n"


def test_the_report_holds_the_sheet(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 12)
    assert 'id="data-set"' not in run_page(open_run(folder))
    written(noise(8, 3), folder)
    page = run_page(open_run(folder))
    assert 'id="data-set"' in page and "data:image/png;base64," in page
