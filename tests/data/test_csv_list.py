"""dataset=csv: a table that lists files, classes and, if it wants to, parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_search.core.errors import InputError
from nas_search.data import ImageData
from nas_search.data.csv_list import CsvOptions, load_csv

RNG = np.random.default_rng(0)
NAMES = [f"pics/{i}.png" for i in range(12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pics").mkdir()
    for i, name in enumerate(NAMES):
        pixels = RNG.integers(0, 20, (12, 12, 3), dtype=np.uint8)
        pixels[..., i % 3] += 200  # the brightest channel is the class
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def table(folder: Path, text: str, **options: str) -> ImageData:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    return load_csv(CsvOptions(path=str(folder / "list.csv"), size=8, **options))  # type: ignore[arg-type]


def lines(heading: str, between: str = ",", extra: str = "") -> str:
    rows = [f"{name}{between}{'rgb'[i % 3]}{extra}" for i, name in enumerate(NAMES)]
    return "\n".join([heading, *rows])


def check(data: ImageData) -> None:
    assert data.class_names == ("b", "g", "r")
    assert (len(data.train), len(data.test)) == (9, 3)
    for split in (data.train, data.test):
        brightest = split.read(torch.arange(len(split))).float().mean((2, 3)).argmax(1)
        assert torch.equal(2 - brightest, split.labels)
        assert len(split.files) == len(split)


@pytest.mark.parametrize(
    "text",
    [
        lines("file,label"),
        lines("Image;Class", ";"),
        lines("path\tspecies", "\t"),
        "\ufeff" + lines("filename,category").replace("\n", "\r\n"),
        lines("file,label,note", ",", ',"one, two"') + "\n\n",
        lines("file,label").replace("pics/", "pics\\"),
    ],
)
def test_usual_tables_are_read(folder: Path, text: str) -> None:
    data = table(folder, text)
    check(data)
    assert data.summary[0] == "data: 12 of 12 lines used; 3 classes in training: b 3, g 3, r 3"
    assert (
        "(shorter side scaled to 8, center cropped to 8 x 8; test: 20% of each class held"
        in (data.summary[1])
    )


def test_columns_and_folder_can_be_named(folder: Path) -> None:
    text = lines("file,label,where,what").replace(",r", ",x,,r").replace(",g", ",x,,g")
    text = text.replace(",b", ",x,,b").replace("pics/", "")
    heading, rest = text.split("\n", 1)
    text = f"where,label,file,what\n{rest}"
    check(table(folder, text, file="where", label="what", root=str(folder / "pics")))
    assert heading  # only the columns' names changed


def test_parts_are_those_of_the_table(folder: Path) -> None:
    parts = ["train"] * 6 + ["Val"] * 3 + ["TEST"] * 3
    rows = [f"{name},{'rgb'[i % 3]},{parts[i]}" for i, name in enumerate(NAMES)]
    data = table(folder, "\n".join(["file,label,split", *rows]))
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 3, 3)
    assert [path.name for path in data.test.files] == ["9.png", "10.png", "11.png"]
    assert "validation: lines marked validation, test: lines marked test" in data.summary[1]


def test_numbers_are_sorted_by_size_and_repeated_lines_are_said(folder: Path) -> None:
    rows = [f"{name},{(2, 10, 9)[i % 3]}" for i, name in enumerate(NAMES)]
    data = table(folder, "\n".join(["file,label", *rows, rows[0]]))
    assert data.class_names == ("2", "9", "10")
    assert data.summary[0].startswith("data: 12 of 13 lines used; left out: 1 repeated; 3 classes")


def test_files_may_be_named_by_whole_paths(folder: Path, tmp_path: Path) -> None:
    check(table(folder, lines("file,label").replace("pics/", f"{folder}/pics/")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give a heading"),
        ("file,label\n", "lists 0 training pictures of 0 classes; list some of at least 2"),
        (lines("file,label").replace(",g", ",r").replace(",b", ",r"), "12 training pictures of 1"),
        (lines("name,label"), r"no column of the usual file columns \(file, .* name, lab"),
        (lines("file,label").replace("label", "file"), "has 2 columns of the usual file columns"),
        (lines("file,label") + "\nnope.png,r", "line 14: there is no file .*nope.png; correct it"),
        (lines("file,label") + "\npics/0.png,g", "line 14 says of pics/0.png 'g' in train, an"),
        (lines("file,label") + "\npics/0.png", "line 14 lacks its file or its label; complete it"),
        (lines("file,label,split", ",", ",holdout"), "line 2: 'holdout' is no part; write train"),
        (lines("file,label").replace("1.png,g", "1.png,R"), "which differ by case, spaces or the"),
        (
            f"file,label,split\n{NAMES[0]},r,train\n{NAMES[1]},g,train\n{NAMES[8]},r,test",
            "lists no test picture of class 'g'; list some, or remove"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_followed_are_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        table(folder, text)
    assert "\n" not in str(caught.value) and "list.csv" in str(caught.value)


def test_what_is_no_table_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"needs a table of files and labels; add dataset.path"):
        load_csv(CsvOptions())
    for path in (folder / "no.csv", folder, folder / NAMES[0]):
        with pytest.raises(InputError, match=r"cannot read .*; give a text table in UTF-8"):
            load_csv(CsvOptions(path=str(path)))
    with pytest.raises(InputError, match=r"no column 'x' in its heading file, label; set dataset"):
        table(folder, lines("file,label"), file="x")
