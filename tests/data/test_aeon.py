"""Series of the archives: aeon's own problems where it is installed, its errors in one line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.data import DATASETS
from nas_search.data.aeon import AeonOptions, load_aeon

INSTALLED = importlib.util.find_spec("aeon") is not None
RNG = np.random.default_rng(0)


@pytest.mark.skipif(not INSTALLED, reason="aeon is not installed: pip install 'nas-search[aeon]'")
@pytest.mark.parametrize(
    ("problem", "counts", "shape", "classes"),
    [  # as the archives publish them
        ("GunPoint", (50, 150), (1, 1, 150), ("1", "2")),
        ("ItalyPowerDemand", (67, 1029), (1, 1, 24), ("1", "2")),
        (
            "BasicMotions",
            (40, 40),
            (6, 1, 100),
            ("badminton", "running", "standing", "walking"),
        ),
        ("PickupGestureWiimoteZ", (50, 50), (1, 1, 361), tuple(map(str, range(1, 11)))),
    ],
)
def test_problems_that_ship_with_aeon_are_read(
    problem: str, counts: tuple[int, int], shape: tuple[int, int, int], classes: tuple[str, ...]
) -> None:
    data = load_aeon(AeonOptions(problem))
    assert (len(data.train), len(data.test)) == counts
    assert data.input_shape == shape and data.class_names == classes and data.series
    assert data.train.series and data.test.series


@pytest.mark.skipif(not INSTALLED, reason="aeon is not installed: pip install 'nas-search[aeon]'")
def test_a_problem_of_regression_is_refused() -> None:
    with pytest.raises(InputError, match="cannot get 'Covid3Month' by aeon .*regression"):
        load_aeon(AeonOptions("Covid3Month"))


def test_without_aeon_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"dataset=aeon needs aeon: pip install .*\[aeon\]"):
        load_aeon(AeonOptions("GunPoint"))


Given = tuple[Any, list[str]]


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Given]:
    """Stand in for aeon: a problem's parts are what the test writes here."""
    parts: dict[str, Given] = {}

    def load_classification(name: str, split: str, **_: Any) -> tuple[Any, np.ndarray]:
        if split not in parts:
            raise OSError(f"<urlopen error\n of {name}>")
        series, names = parts[split]
        return series, np.array(names)

    package, datasets = ModuleType("aeon"), ModuleType("aeon.datasets")
    package.__file__ = str(tmp_path / "aeon" / "__init__.py")
    datasets.load_classification = load_classification  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aeon", package)
    monkeypatch.setitem(sys.modules, "aeon.datasets", datasets)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    return parts


def series(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def test_classes_are_sorted_by_size_and_series_kept_as_they_are(archive: dict[str, Given]) -> None:
    train, test = series(4, 2, 30), series(3, 2, 30)
    archive["train"] = (train, ["10", "9", "-1", "9"])
    archive["test"] = (test, ["9", "10", "9"])
    data = load_aeon(AeonOptions("Mine", rows=2))
    assert data.class_names == ("-1", "9", "10")
    assert data.train.labels.tolist() == [2, 1, 0, 1] and data.test.labels.tolist() == [1, 2, 1]
    read = data.test.read(data.test.labels[:0].new_tensor([2, 0])).numpy()
    assert read.shape == (2, 2, 2, 30)
    np.testing.assert_array_equal(read[:, :, 1], test[[2, 0]].astype(np.float32))
    assert data.mean == pytest.approx(train.mean((0, 2)), abs=1e-6)
    assert "data: Mine, 7 series; 3 classes" in data.summary[0]
    found = DATASETS.get("aeon").find
    assert found is not None and found(AeonOptions("Mine")).series


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (([series(1, 9), series(1, 12)], ["a", "b"]), None, "series of 9 to 12 steps; cut or pad"),
        ((series(2, 1, 9), ["a", "b"]), (series(2, 1, 9), ["a", "c"]), "no training series is of"),
        ((series(2, 1, 9), ["a", "b"]), (series(2, 1, 8), ["a", "b"]), r"\(1, 9\) and te.*\(1, 8"),
        ((series(2, 1, 5), ["a", "b"]), (series(2, 1, 5), ["a", "b"]), "series of length 5"),
        ((series(2, 1, 9), ["a", "b"]), None, "cannot get 'Mine' by aeon .*name another problem"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(
    archive: dict[str, Given], train: Given, test: Given | None, said: str
) -> None:
    archive["train"] = train
    if test is not None:
        archive["test"] = test
    with pytest.raises(InputError, match=said) as caught:
        load_aeon(AeonOptions("Mine"))
    assert "\n" not in str(caught.value)


def test_a_problem_must_be_named(archive: dict[str, Given]) -> None:
    with pytest.raises(InputError, match="add dataset.problem=NAME, e.g. GunPoint"):
        load_aeon(AeonOptions())
