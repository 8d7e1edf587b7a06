"""Files are made new and moved into place; nothing is written through a link."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from nas_search.core.files import replacing, write_csv, write_json
from nas_search.core.memory import is_out_of_memory
from nas_search.report.figure import save
from nas_search.training import checkpoint


@pytest.mark.parametrize("planted", ["{}", "{}.part"])
@pytest.mark.parametrize("name", ["history.csv", "best.json", "search.png", "checkpoint.pt"])
def test_links_are_replaced_and_not_written_through(
    tmp_path: Path, name: str, planted: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / planted.format(name)).symlink_to(victim)
    path = tmp_path / name
    if name.endswith(".csv"):
        write_csv(path, ["a"], [[1]])
    elif name.endswith(".json"):
        write_json(path, {"a": 1})
    elif name.endswith(".png"):
        save(Figure(), path)
    else:
        checkpoint.save(path, {"identity": {}})
    assert victim.read_text() == "mine"
    assert path.is_file()
    assert not path.is_symlink()
    assert {file.name for file in tmp_path.iterdir()} == {"victim", name}


def test_a_disk_that_is_full_leaves_the_previous_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(OSError, match="No space left") as caught, replacing(path) as new:
        new.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_no_numbers_that_json_lacks(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [math.inf, -math.inf, (math.nan, 1.5)], "b": {"c": 2}})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == {
        "a": [None, None, [None, 1.5]],
        "b": {"c": 2},
    }


def test_a_lack_of_memory_is_known_by_what_torch_says() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert is_out_of_memory(RuntimeError("can't start new thread"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
