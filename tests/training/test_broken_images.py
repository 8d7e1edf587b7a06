"""Unreadable images: the error names the file, the rest continues, and no result is lost."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from nas_search.core.errors import InputError, RunError
from nas_search.core.versions import versions
from nas_search.data import DATASETS, ImageData, imagefolder
from nas_search.training import (
    Finalist,
    FinalistsConfig,
    Renderers,
    TrainingPlan,
    images,
    train_finalists,
)
from tests.training.made import architecture, recipe, stripes, stripes_data

CLASSES = ("red", "green", "blue")
PLAN = TrainingPlan(recipe(epochs=2, validation=0.25), FinalistsConfig(), "cpu", versions())
pytestmark = pytest.mark.usefixtures("unchecked")
VIEWS = Renderers(lambda log, path: None, lambda names, rows: "")


def pictures(folder: Path) -> Path:
    """Write train and test folders of images whose brightest channel is the class."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for channel, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 120, size=(8, 8, 3)).astype(np.uint8)
                pixels[..., channel] += 100
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
    return folder


def truncate(picture: Path) -> bytes:
    """Truncate a file to its first half, as a full disk does; return the original content."""
    before = picture.read_bytes()
    picture.write_bytes(before[: len(before) // 2])
    return before


def load(folder: Path) -> ImageData:
    record = DATASETS.get("imagefolder")
    return record.load(record.options(path=str(folder), size=8))


def candidates(data: ImageData) -> list[Finalist]:
    return [
        Finalist(dataclasses.replace(architecture("nasbench201", data), genotype=text))
        for text in (
            "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
            "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
        )
    ]


def table(directory: Path) -> dict[str, dict[str, str]]:
    with (directory / "finalists" / "finalists.csv").open(encoding="utf-8") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def train(data: ImageData, directory: Path) -> list[Finalist]:
    return train_finalists(candidates(data), data, PLAN, directory, Console(quiet=True), VIEWS)


@pytest.fixture
def read_at_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each batch from disk on demand, as if the images did not fit in memory."""
    monkeypatch.setattr(images, "RESIDENT_BYTES", 0)


@pytest.mark.slow
def test_broken_training_image_is_reported_before_training(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    broken = folder / "train" / "green" / "3.png"
    truncate(broken)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nas_search.train", f"hydra.run.dir={tmp_path / 'run'}"),
            *("dataset=imagefolder", f"dataset.path={folder}", "dataset.size=8", "device=cpu"),
            "architecture=DARTS_V2",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"cannot decode {broken}" in line and "replace or remove it" in line
    assert not (tmp_path / "run" / "finalists").exists()


def test_broken_image_outside_the_statistics_sample_is_reported_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagefolder, "STATISTICS_IMAGES", 2)
    folder = pictures(tmp_path / "pictures")
    truncate(folder / "train" / "green" / "3.png")
    data = load(folder)
    with pytest.raises(InputError, match=r"cannot decode .*green/3\.png .*replace or remove it"):
        train(data, tmp_path / "run")
    assert not (tmp_path / "run" / "finalists").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("read_at_use")
def test_image_that_breaks_during_training_fails_only_that_finalist(tmp_path: Path) -> None:
    """An image is unreadable for a while, as on a network disk, and then readable again."""
    data = stripes_data(tmp_path)
    away = iter([False, False, False, True])  # the first two reads tell which images these are

    def read(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) > 1 and next(away, False):
            raise InputError("cannot decode 3.png (it is away); replace or remove it")
        return data.train.read(rows)

    ranked = train(
        dataclasses.replace(data, train=dataclasses.replace(data.train, read=read)), tmp_path / "a"
    )
    assert [c.status for c in ranked] == ["trained", "failed"]
    assert "cannot decode 3.png" in ranked[1].reason
    rows = table(tmp_path / "a")
    assert rows[ranked[1].key]["reason"] == ranked[1].reason
    assert rows[ranked[0].key]["test_accuracy"]
    # Readable again: the failed finalist is trained to the result of an uninterrupted training.
    train(data, tmp_path / "a")
    train(data, tmp_path / "b")
    again, whole = table(tmp_path / "a"), table(tmp_path / "b")
    assert {row["status"] for row in again.values()} == {"trained"}
    assert {k: row["validation_accuracy"] for k, row in again.items()} == {
        k: row["validation_accuracy"] for k, row in whole.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("when", ["at once", "at use"])
def test_broken_test_image_keeps_the_ranking(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if when == "at use":
        monkeypatch.setattr(images, "RESIDENT_BYTES", 0)
    folder = pictures(tmp_path / "pictures")
    broken = folder / "test" / "green" / "2.png"
    before = truncate(broken)
    with pytest.raises(RunError, match=rf"trained but not tested: cannot decode .*{broken.name}"):
        train(load(folder), tmp_path / "a")
    rows = table(tmp_path / "a")
    assert [row["status"] for row in rows.values()] == ["trained"] * 2
    assert not any(row["test_accuracy"] for row in rows.values())
    logs = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("log.csv")}
    assert len(logs) == 2
    broken.write_bytes(before)
    ranked = train(load(folder), tmp_path / "a")
    assert ranked[0].test and [c.key for c in ranked] == list(rows)
    assert logs == {path: path.stat().st_mtime_ns for path in logs}  # nothing was trained again


def test_nan_test_image_is_refused_instead_of_classified(tmp_path: Path) -> None:
    path = stripes(tmp_path)
    with np.load(path) as arrays:
        images, labels = arrays["x_train"] / 255, arrays["y_train"]
    tests = images[:6].copy()
    tests[4, 0, 0, 0] = np.nan
    np.savez(path, x_train=images, y_train=labels, x_test=tests, y_test=labels[:6])
    record = DATASETS.get("npz")
    data = record.load(record.options(path=str(path)))
    with pytest.raises(RunError, match="not tested: .*x_test: image 4 holds NaN"):
        train(data, tmp_path / "run")
    assert {row["status"] for row in table(tmp_path / "run").values()} == {"trained"}
