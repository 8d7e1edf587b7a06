"""Repeated trainings of a table: from rows, standard deviations, seeds and equal networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.tables import Table
from nas_search.tables.repeats import means_and_repeats
from tests.tables.made import SPACE, cells, read, write_csv

A, B, C = (str(cell) for cell in cells(3))
HEADER = ["architecture", "accuracy", "std"]


def table(path: Path, rows: list[list[Any]], **options: Any) -> Table:
    return read("csv", path=str(write_csv(path / "own.csv", HEADER, rows)), **options)


def test_moments_are_those_of_numpy() -> None:
    values = np.array([90.0, 91, 93, np.nan, 50, 60])
    means, repeats = means_and_repeats(values, np.array([0, 0, 0, 1, 2, 1]), 4)
    assert means == pytest.approx([np.mean([90, 91, 93]), 60, 50, np.nan], nan_ok=True)
    assert repeats.variance[0] == pytest.approx(np.var([90, 91, 93], ddof=1))
    assert repeats.freedom.tolist() == [2, 0, 0, 0]
    assert repeats.trainings.tolist() == [3, 1, 1, 1]


def test_rows_that_repeat_an_architecture_are_trainings(tmp_path: Path) -> None:
    repeats = table(tmp_path, [[A, 0.90, ""], [B, 0.5, ""], [A, 0.92, ""]]).repeats("accuracy")
    assert repeats is not None
    assert repeats.variance[0] == pytest.approx(2)  # percent
    assert repeats.trainings.tolist() == [2, 1]


def test_standard_deviations_have_the_unit_of_the_accuracies(tmp_path: Path) -> None:
    rows = [[A, 0.90, 0.01], [B, 0.5, 0.02], [C, 0.6, ""]]
    told = {"deviations": {"accuracy": "std"}, "trainings": 3}
    repeats = table(tmp_path, rows, **told).repeats("accuracy")
    assert repeats is not None
    assert repeats.variance == pytest.approx([1, 4, 0])
    assert repeats.freedom.tolist() == [2, 2, 0]
    assert repeats.trainings.tolist() == [3, 3, 3]
    percent = [[A, 90, 0.1], [B, 50, 0.2]]
    repeats = table(tmp_path, percent, **told).repeats("accuracy")
    assert repeats is not None
    assert repeats.variance == pytest.approx([0.01, 0.04])


def test_equal_networks_in_other_words_are_repeats(tmp_path: Path) -> None:
    # The first node sends nothing on in either: two ways to write one network.
    first = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"
    other = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
    assert SPACE.canonical(SPACE.parse(first)) == SPACE.canonical(SPACE.parse(other))
    rows = [[first, 80, ""], [A, 85, ""], [other, 82, ""]]
    repeats = table(tmp_path, rows).repeats("accuracy")
    assert repeats is not None
    assert repeats.variance.tolist() == [2, 0, 2]
    assert repeats.freedom.tolist() == [0.5, 0, 0.5]


def test_one_training_each_or_copies_of_it_tell_nothing(tmp_path: Path) -> None:
    assert table(tmp_path, [[A, 80.1, ""], [B, 82, ""]]).repeats("accuracy") is None
    assert table(tmp_path, [[A, 80.1, ""], [A, 80.1, ""], [B, 82, ""]]).repeats("accuracy") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deviations": {"accuracy": "std"}}, r"benchmark\.trainings=N"),
        ({"deviations": {"other": "std"}, "trainings": 3}, "no column of accuracies"),
        ({"deviations": {"accuracy": "sd"}, "trainings": 3}, "no column 'sd'"),
        ({"trainings": 3}, r"needs benchmark\.deviations"),
        ({"deviations": {"accuracy": "std"}, "trainings": 3}, "is 0 or more"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        table(tmp_path, [[A, 80, -1], [B, 82, 0.3]], **options)
