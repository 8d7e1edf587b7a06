"""Opening the directory of a search: unfinished, finished, or no search."""

from __future__ import annotations

import json
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
CONFIG = """\
proxy: {name: naswot}
search_space: {name: nasbench201, cells: 1, channels: 4}
dataset: {name: digits}
plugins: []
"""


def search(directory: Path) -> Architecture:
    """Write the files of a search before its report; return its best architecture."""
    (directory / ".hydra").mkdir(parents=True)
    (directory / ".hydra" / "config.yaml").write_text(CONFIG)
    with Store(directory / "run.sqlite") as store:
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


def test_other_directories_are_refused_in_one_line(tmp_path: Path) -> None:
    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match):
            open_run(tmp_path)

    refused("is not the directory of a search")
    (tmp_path / ".hydra").mkdir()
    file = tmp_path / ".hydra" / "config.yaml"
    for text in ("", "[1]", "a: [", "proxies: [naswot]\nsearch_space: {}\ndataset: {}\n"):
        file.write_text(text)
        refused("is not the directory of a search")
    file.write_text(CONFIG)
    refused("there is no store .*run.sqlite")
    Store(tmp_path / "run.sqlite").__exit__()
    assert open_run(tmp_path).evaluations == []
    (tmp_path / "summary.json").write_text(json.dumps({"stop": "budget"})[:-1])
    refused("cannot read .*summary.json")
