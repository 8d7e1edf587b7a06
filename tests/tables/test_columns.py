"""Tables as spreadsheets and scripts write them are read right, or refused in one line."""

from __future__ import annotations

import csv
import importlib.util
import json
from math import nan
from pathlib import Path

import pytest

from nas_search.core.errors import InputError
from nas_search.core.files import write_csv, write_json
from nas_search.core.installed import how_to_install
from nas_search.tables import BENCHMARKS, Table
from tests.tables.made import SPACE

CELLS = [
    f"|{name}~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
    for name in ("none", "nor_conv_1x1", "nor_conv_3x3")
]


def table(file: Path, **options: object) -> Table:
    record = BENCHMARKS.get("csv")
    return record.read(SPACE, record.options(path=str(file), **options))


def written(
    folder: Path,
    *values: str,
    separator: str = ",",
    encoding: str = "utf-8",
    name: str = "accuracy",
) -> Path:
    rows = [
        separator.join(("architecture", name)),
        *map(separator.join, zip(CELLS, values, strict=False)),
    ]
    file = folder / "table #1.csv"
    file.write_text("\r\n".join(rows) + "\r\n", encoding=encoding, newline="")
    return file


def read(file: Path) -> list[float | None]:
    found = table(file)
    return [found.accuracy(SPACE.parse(cell), "accuracy") for cell in CELLS]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_separator_and_encoding_of_spreadsheets(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    file = written(tmp_path, "90.5", "NaN", "93 %", separator=separator, encoding=encoding)
    assert read(file) == [90.5, None, 93.0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("90.5", "0", "100"), ""),
        (("0.9", "0", "1"), ""),
        (("3", "", "93"), ""),
        (("-1", "90", "93"), "1 of 3 values are outside 0 to 100 (lowest -1, highest 93)"),
        (("", "90", "930"), "1 of 2 values are outside 0 to 100 (lowest 90, highest 930)"),
        (("-0.4", "-0.2", "-2.5"), "3 of 3 values are outside 0 to 1 (lowest -2.5, highest -0.2)"),
        (("0.3", "0.8", "2.5"), "most values are 1 or less, but not all (highest 2.5), so they"),
    ],
)
def test_what_is_outside_the_range_of_accuracies_is_said_and_read(
    tmp_path: Path, values: tuple[str, ...], said: str
) -> None:
    file = written(tmp_path, *values)
    notes = table(file).notes
    assert [note.partition(", column 'accuracy': ")[2][: len(said)] for note in notes] == (
        [said] if said else []
    )
    turned = all(value.startswith("-") for value in values)
    end = "as of losses whose sign was turned" if turned else "so turn the sign of losses"
    assert all(note.endswith(f"a higher value counts as better, {end}") for note in notes)
    order = [float(value or "nan") for value in values]
    told = [nan if value is None else value for value in read(file)]
    assert [a < b for a in told for b in told] == [a < b for a in order for b in order]


def test_a_decimal_comma_between_semicolons(tmp_path: Path) -> None:
    assert read(written(tmp_path, "90,5", "", "7,25 %", separator=";")) == [90.5, None, 7.25]


def test_fractions_are_percent(tmp_path: Path) -> None:
    assert read(written(tmp_path, "0.9", "", "1")) == pytest.approx([90.0, None, 100.0])
    assert read(written(tmp_path, "0.9", "", "1.01")) == [0.9, None, 1.01]


def test_fractions_are_told_by_the_whole_column_not_by_the_rows_that_are_kept(
    tmp_path: Path,
) -> None:
    file = tmp_path / "where.csv"
    lines = [
        f"{cell},{value},{kind}" for cell, value, kind in zip(CELLS, "159", "aab", strict=True)
    ]
    file.write_text("\n".join(["architecture,accuracy,kind", *lines]).replace(",5,a", ",0.5,a"))
    assert table(file, where={"kind": "a"}).best("accuracy") == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("1", "inf", "2"), "column 'accuracy', row 2: 'inf' is no accuracy"),
        (("1", "-inf", "2"), "row 2: '-inf' is no accuracy"),
        (("1", "1e999", "2"), "row 2: '1e999' is no accuracy"),
        (("", "NA", ""), "column 'accuracy' is empty: no accuracy is known"),
        (("1", "high", "2"), "'high' is not a number"),
    ],
)
def test_what_is_no_accuracy_is_refused(
    tmp_path: Path, values: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, *values))


def test_a_column_given_twice_is_refused_and_a_misspelled_one_guessed(tmp_path: Path) -> None:
    file = tmp_path / "twice.csv"
    file.write_text(f"architecture,accuracy,accuracy\n{CELLS[0]},1,2\n")
    with pytest.raises(InputError, match="has two columns 'accuracy'; rename or remove one"):
        table(file)
    with pytest.raises(InputError, match=r"no column 'accuracy' \(did you mean 'Accuracy'\?\)"):
        table(written(tmp_path, "1", "2", name="Accuracy"))


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_a_column_given_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = [pyarrow.array([CELLS[0]]), pyarrow.array([1.0]), pyarrow.array([2.0])]
    twice = pyarrow.Table.from_arrays(columns, names=["architecture", "accuracy", "accuracy"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="has two columns 'accuracy'"):
        table(tmp_path / "twice.parquet")


def test_a_table_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "1", "2", "3")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(table(Path("~/table #1.csv"))) == 3
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a KeyError, as in a container
    with pytest.raises(InputError, match="benchmark.path=~/x.csv: there is no home folder for ~"):
        table(Path("~/x.csv"))


def test_files_have_no_formulas_and_no_numbers_that_json_lacks(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["=1+1", "x"], [["+cmd", -1.5], ["@sum", None], ["|a~0|", 2]])
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            *(["'=1+1", "x"], ["'+cmd", "-1.5"], ["'@sum", ""], ["|a~0|", "2"])
        ]
    write_json(tmp_path / "a.json", {"a": [float("inf"), {"b": float("nan")}], "c": 1.5})

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"a": [None, {"b": None}], "c": 1.5}


def test_an_extra_is_installed_the_way_the_package_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Path(__file__).parents[2]
    assert how_to_install("onnx") in (
        f"pip install -e '{checkout}[onnx]'", f"pip install -e {checkout}[onnx]",
    )  # fmt: skip

    class Installed:
        def __init__(self, url: str | None) -> None:
            self.text = None if url is None else json.dumps({"url": url, "dir_info": {}})

        def read_text(self, name: str) -> str | None:
            return self.text if name == "direct_url.json" else None

    monkeypatch.setattr("nas_search.core.installed._CHECKOUT", tmp_path)
    for url, command in (
        ("file:///home/me/my%20nas", "pip install '/home/me/my nas[onnx]'"),
        ("https://example.org/x.whl", "pip install 'nas-search[onnx]'"),
        (None, "pip install 'nas-search[onnx]'"),
    ):
        monkeypatch.setattr("importlib.metadata.distribution", lambda _, url=url: Installed(url))
        assert how_to_install("onnx") == command
