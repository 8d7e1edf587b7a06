"""Opening the directory of a search: unfinished, finished, or no search."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_csv, write_json
from nas_search.runs import open_run
from nas_search.runs.architecture import Architecture
from nas_search.runs.store import Store
from nas_search.spaces import SPACES

CELL = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|"
RECORD = {
    "proxy": {"name": "naswot"},
    "search_space": {"name": "nasbench201", "cells": 1, "channels": 4},
    "dataset": "digits",
    "dataset_options": {"size": 8},
    "plugins": [],
}


def search(directory: Path) -> Architecture:
    """Write the files of a search before its report; return its best architecture."""
    with Store(directory / "run.sqlite") as store:
        store.claim(RECORD)
        store.append(Evaluation(CELL, "key", "ok", {"naswot": 1.5}, 10, 20), 0.5)
    space = SPACES.get("nasbench201").space()
    assert str(space.parse(CELL)) == CELL
    return Architecture("nasbench201", CELL, (3, 8, 8), 10, {"cells": 1, "channels": 4}, {})


def test_unfinished_search_has_only_evaluations(tmp_path: Path) -> None:
    search(tmp_path)
    run = open_run(tmp_path)
    assert (run.directory, run.score) == (tmp_path, "naswot")
    assert run.config["search_space"] == {"name": "nasbench201", "cells": 1, "channels": 4}
    assert [(e.genotype, e.scores) for e in run.evaluations] == [(CELL, {"naswot": 1.5})]
    assert (run.summary, run.best, run.finalists) == (None, None, [])


def test_finished_search_has_all_results(tmp_path: Path) -> None:
    best = search(tmp_path)
    write_json(tmp_path / "best.json", {**best.as_dict(), "scores": {"naswot": 1.5}})
    write_json(tmp_path / "summary.json", {"stop": "budget"})
    (tmp_path / "finalists").mkdir()
    write_csv(tmp_path / "finalists" / "finalists.csv", ["rank", "key"], [[1, "ab"], [2, "cd"]])
    run = open_run(str(tmp_path))
    assert run.best == best
    assert run.summary == {"stop": "budget"}
    assert run.finalists == [{"rank": "1", "key": "ab"}, {"rank": "2", "key": "cd"}]


def test_the_configuration_is_what_the_store_recorded(tmp_path: Path) -> None:
    search(tmp_path)
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("search_space: {name: darts}\n")
    assert open_run(tmp_path).config == {**RECORD, "dataset": {"name": "digits", "size": 8}}


def test_other_directories_are_refused_in_one_line(tmp_path: Path) -> None:
    def refused(match: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=match) as caught:
            open_run(tmp_path)
        assert "\n" not in str(caught.value)

    refused("is not the directory of a search: it has no run.sqlite")
    Store(tmp_path / "run.sqlite").__exit__()
    refused("is not the directory of a search of this version")
    with Store(tmp_path / "run.sqlite") as store:
        store.claim(RECORD)
    assert open_run(tmp_path).evaluations == []
    for text in (json.dumps({"stop": "budget"})[:-1], "[1]", "[" * 9000, "\0"):
        (tmp_path / "summary.json").write_text(text)
        refused("cannot read .*summary.json")
    (tmp_path / "summary.json").unlink()
    (tmp_path / "finalists").mkdir()
    (tmp_path / "finalists" / "finalists.csv").write_bytes(b"a\n\xff\n")
    refused("cannot read .*finalists.csv")


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%25b", "a b [c]", b"caf\xe9"])
def test_directories_of_any_name_are_read_and_left_as_they_are(
    tmp_path: Path, name: str | bytes
) -> None:
    directory = tmp_path / os.fsdecode(name)
    directory.mkdir()
    search(directory)
    assert [e.genotype for e in open_run(directory).evaluations] == [CELL]
    assert {path.name for path in directory.iterdir()} == {"run.sqlite", "run.lock"}
    assert list(tmp_path.iterdir()) == [directory]
