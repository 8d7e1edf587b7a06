"""``architecture=...``: texts of any length, and files as editors and shells write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas_search.commands.command import CONF
from nas_search.commands.messages import one_line
from nas_search.commands.own_architectures import own_architectures
from nas_search.core.errors import InputError
from nas_search.runs.architecture import load
from nas_search.search.loop import _checked
from nas_search.spaces import SPACES
from nas_search.spaces.darts.genotype import PUBLISHED
from tests.training.made import CELLS

NONE = {"name": "none"}
LONG = {
    "darts": str(PUBLISHED["DARTS_V2"]),
    "nasbench101": "ModelSpec(matrix="
    + str([[int(y == x + 1) for y in range(7)] for x in range(7)])
    + ", ops=['input', 'conv3x3-bn-relu', 'conv3x3-bn-relu', 'conv3x3-bn-relu',"
    + " 'conv3x3-bn-relu', 'conv3x3-bn-relu', 'output'])",
}


def read(given: Any) -> list[tuple[str, str]]:
    return [(one.search_space, one.genotype) for one in own_architectures(given, None, NONE)]


@pytest.mark.parametrize("space", LONG)
def test_a_text_longer_than_a_file_name_is_a_genotype(space: str) -> None:
    text = LONG[space]
    assert len(text.encode()) > 255
    assert read(text) == read([f"genotype = {text}"]) == [(space, text)]
    with pytest.raises(InputError, match="no search space reads it") as caught:
        read(text.replace("e", "é"))
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_files_are_read_in_the_encodings_of_editors_and_shells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    text = tmp_path / "cell (best) #1.txt"
    text.write_bytes(f"genotype = {LONG['darts']}\r\n".encode(encoding))
    assert read(str(text)) == [("darts", LONG["darts"])]
    facts = {
        **{"search_space": "darts", "genotype": "DARTS_V2", "input_shape": [3, 8, 8]},
        **{"num_classes": 10, "macro": {"cells": 3, "channels": 4}, "space_options": {}},
    }
    file = tmp_path / "best.json"
    file.write_bytes(json.dumps(facts).encode(encoding))
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in (str(file), str(tmp_path), "~/best.json"):
        assert read(given) == [("darts", "DARTS_V2")]
        assert load(given).macro == {"cells": 3, "channels": 4}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("runs/2026/best.json", "there is no file or folder runs/2026/best.json"),
        ("C:\\runs\\best.json", r"there is no file or folder C:\\runs\\best.json"),
        ("picture.png", "picture.png is not a text file"),
        ("large.bin", "large.bin has more than 1,000,000 bytes"),
        ("empty.txt", "no search space reads it"),
        ("\0", "no search space reads it"),
        ("~nobody_of_this_name/best.json", "there is no file or folder ~nobody"),
        ("empty", "best.json"),
    ],
)
def test_what_is_none_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)))
    Path("large.bin").write_bytes(b"a" * 1_000_001)
    Path("empty.txt").touch()
    Path("empty").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        read(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(64, 64), 64, "3x8x8", (3, 8, 8, 1), (3, 8, 0)])
def test_an_impossible_shape_is_said(tmp_path: Path, shape: object) -> None:
    facts = {
        **{"search_space": "darts", "genotype": "DARTS_V2", "input_shape": [3, 8, 8]},
        **{"num_classes": 10, "macro": {"cells": 3, "channels": 4}, "space_options": {}},
    }
    # The folder of a trained finalist has a genotype.json, that of a search a best.json.
    (tmp_path / "genotype.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="input_shape|image width"):
        load(tmp_path).build(input_shape=shape)


def test_a_refusal_quotes_no_genotype_whole() -> None:
    space = SPACES.get("nasbench201").space()
    cell = space.parse(CELLS["nasbench201"])
    from nas_search.core.evaluation import Evaluation

    with pytest.raises(InputError) as caught:
        _checked(Evaluation("x" * 100_000, "", "ok"), cell)
    assert len(str(caught.value)) < 400
    line = one_line(
        InputError("a\n" + "b" * 100_000 + "\x1b[2J\n the end"), "nas_search", Path(CONF), "config"
    )
    assert len(line) < 1200
    assert line.startswith("a bbb") and line.endswith("the end")
    assert line.isprintable()
