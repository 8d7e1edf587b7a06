"""The store: committed evaluations are kept; every error is one line with the remedy."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.runs.rows import digest, read_store
from nas_search.runs.store import Store

GOOD = Evaluation("g1", "k1", "ok", {"a": 0.1 + 0.2, "b": -1e-300}, 10, 20, 0.5)
BAD = Evaluation("g2 'quoted'; DROP TABLE run", "k2", "failed", reason="näh: an error")
IDENTITY = {"seed": 0, "proxy": {"name": "gradalign", "batch_size": 64}}


def test_appended_evaluations_are_read_back(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        assert store.evaluations() == []
        assert store.elapsed() == 0
        store.append(GOOD, 1.5)
        store.append(BAD, 2.5)
        assert store.evaluations() == [GOOD, BAD]
    with Store(tmp_path / "run.sqlite") as store:
        assert store.evaluations() == [GOOD, BAD]  # scores to the last bit
        assert store.elapsed() == 2.5


def test_rows_survive_a_killed_process(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from nas_search.runs.store import Store\n"
        "from nas_search.core.evaluation import Evaluation\n"
        "Store(Path(sys.argv[1])).append(Evaluation('g', 'k', 'ok', {'a': 1.0}), 1.0)\n"
        "os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "run.sqlite"
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == -9
    with Store(path) as store:  # and its lock is gone with it
        assert store.evaluations() == [Evaluation("g", "k", "ok", {"a": 1.0})]


def test_only_one_process_opens_a_store(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from nas_search.runs.store import Store\n"
        "store = Store(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "run.sqlite"
    command = [sys.executable, "-c", script, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(RunError, match="another process is running .*another hydra.run.dir"):
        Store(path)
    holder.communicate("")
    Store(path).__exit__()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000, b"SQLite format 3\0" + b"\1" * 9000])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    if not content:  # an empty file is an empty store
        Store(path).__exit__()
        return
    with pytest.raises(RunError, match="run.sqlite is not a readable store .*move it away"):
        Store(path)
    assert path.read_bytes() == content  # left for its owner to look at


def test_damaged_stores_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path) as store:
        store.claim(IDENTITY)
        for _ in range(200):
            store.append(GOOD, 1.0)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + os.urandom(8192) + whole[12288:])
    with pytest.raises(RunError, match="not a readable store"), Store(path) as store:
        store.evaluations()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE evaluations SET scores = 'x'", "ALTER TABLE evaluations RENAME COLUMN macs TO flops"],
)
def test_stores_of_another_schema_are_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path) as store:
        store.append(GOOD, 1.0)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(RunError, match="not a readable store"), Store(path) as store:
        store.evaluations()


def test_full_disk_keeps_all_recorded_evaluations(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path) as store:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        written = 0
        with pytest.raises(RunError, match="disk refuses .*free space and repeat") as caught:
            for _ in range(10_000):
                store.append(GOOD, 1.0)
                written += 1
        assert "\n" not in str(caught.value)
        assert store.evaluations() == [GOOD] * written
    assert written > 3
    with Store(path) as store:  # there is space again
        store.append(BAD, 2.0)
        assert store.evaluations() == [*[GOOD] * written, BAD]


def test_error_names_an_unwritable_path(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="choose a writable hydra.run.dir"):
        Store(tmp_path / "absent" / "run.sqlite")
    if os.geteuid() == 0:
        return  # nothing is read-only to root
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="choose a writable hydra.run.dir"):
        Store(tmp_path / "run.sqlite")
    tmp_path.chmod(0o700)


def test_read_only_stores_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        store._connection.execute("PRAGMA query_only = 1")
        with pytest.raises(RunError, match="choose a writable hydra.run.dir"):
            store.append(GOOD, 1.0)


def test_store_belongs_to_one_run(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path) as store:
        store.claim(IDENTITY, {"versions": {"torch": "1"}})
        store.claim(IDENTITY, {"versions": {"torch": "2"}})  # the same run with another torch
        store.append(GOOD, 1.0)
    with Store(path) as store:
        notes: dict[str, Any] = {"versions": {}}
        changed = {**IDENTITY, "seed": 7}
        with pytest.raises(InputError, match="seed: 0 there, 7 here.*another hydra.run.dir") as e:
            store.claim(changed, notes)
        assert "proxy" not in str(e.value)
        assert "\n" not in str(e.value)
        with pytest.raises(InputError, match="new: absent there, 1 here"):
            store.claim({**IDENTITY, "new": 1}, notes)
        fewer = dict(list(IDENTITY.items())[1:])
        with pytest.raises(InputError, match=f"{next(iter(IDENTITY))}: .* there, absent here"):
            store.claim(fewer, notes)
        store.claim(dict(reversed(IDENTITY.items())), notes)  # order does not matter
        assert store.evaluations() == [GOOD]


def test_every_bit_that_flips_in_what_is_stored_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path) as store:
        store.claim(IDENTITY)
        for number in range(20):
            store.append(replace(GOOD, genotype=f"genotype {number}"), 1.0 * number)
        whole = store.evaluations()
    content = path.read_bytes()
    rng = random.Random(0)
    noticed = 0
    for _ in range(300):
        position, bit = rng.randrange(len(content)), rng.randrange(8)
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        path.write_bytes(changed)
        for file in tmp_path.glob("run.sqlite-*"):
            file.unlink()
        try:
            record, evaluations = read_store(path)
        except RunError as error:
            noticed += 1
            assert "\n" not in str(error)
            continue
        assert (record, evaluations) == (IDENTITY, whole)  # a bit of an empty part of a page
    assert noticed > 20


def test_a_store_of_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        store.claim(IDENTITY)
        store.append(GOOD, 1.0)
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / "run.sqlite"
    copy.write_bytes((tmp_path / "run.sqlite").read_bytes())
    copy.chmod(0o444)
    copy.parent.chmod(0o555)
    assert read_store(copy) == (IDENTITY, [GOOD])
    copy.parent.chmod(0o755)


def test_a_copy_of_a_running_search_without_its_journal_says_what_to_copy(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        store.claim(IDENTITY)
        store.append(GOOD, 1.0)
        (tmp_path / "copy.sqlite").write_bytes((tmp_path / "run.sqlite").read_bytes())
        assert read_store(tmp_path / "run.sqlite") == (IDENTITY, [GOOD])
    with pytest.raises(RunError, match="no such table.*copy its -wal file too"):
        read_store(tmp_path / "copy.sqlite")


def test_links_are_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    for name in ("run.sqlite", "run.lock"):
        (tmp_path / name).symlink_to(victim)
        with pytest.raises(RunError, match=f"{name} is a symbolic link.*delete it"):
            Store(tmp_path / "run.sqlite")
        (tmp_path / name).unlink()
        for file in tmp_path.glob("run.*"):
            file.unlink()
    assert victim.read_bytes() == b""


def test_a_refused_request_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError), Store(tmp_path / "run.sqlite") as store:
        store.claim(IDENTITY)
        raise InputError("no Dask here")
    assert list(tmp_path.iterdir()) == []


def test_notes_are_those_of_the_last_call(tmp_path: Path) -> None:
    for place in ("/a", "/b"):
        with Store(tmp_path / "run.sqlite") as store:
            store.claim(IDENTITY, {"dataset_options": {"path": place}})
    record, _ = read_store(tmp_path / "run.sqlite")
    assert record == {**IDENTITY, "dataset_options": {"path": "/b"}}


def test_texts_with_bytes_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        store.append(replace(BAD, reason="cannot read caf\udce9.png"), 1.0)
    _, (evaluation,) = read_store(tmp_path / "run.sqlite")
    assert evaluation.reason == "cannot read caf\\udce9.png"


OLD_SCHEMA = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE evaluations (number INTEGER PRIMARY KEY, genotype TEXT NOT NULL, key TEXT NOT NULL,
    status TEXT NOT NULL, scores TEXT NOT NULL, params INTEGER, macs INTEGER,
    seconds REAL NOT NULL, elapsed REAL NOT NULL, reason TEXT NOT NULL, digest TEXT NOT NULL);
"""


def old_store(path: Path, damaged: bool = False) -> None:
    """Write a store as the version without costs wrote it."""
    connection = sqlite3.connect(path)
    connection.executescript(OLD_SCHEMA)
    value = json.dumps(0)
    connection.execute("INSERT INTO run VALUES ('seed', ?, ?)", (value, digest(["seed", value])))
    for number, one in enumerate((GOOD, BAD), 1):
        values = [number, one.genotype, one.key, one.status, json.dumps(one.scores), one.params]
        values += [one.macs, one.seconds, 1.0 * number, one.reason]
        marks = ", ".join("?" * 11)
        stored = digest(values if not damaged else [*values[:-1], "other"])
        connection.execute(f"INSERT INTO evaluations VALUES ({marks})", [*values, stored])
    connection.commit()
    connection.close()


def test_a_store_of_the_version_without_costs_is_read_opened_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    old_store(path)
    before = path.read_bytes()
    assert read_store(path) == ({"seed": 0}, [GOOD, BAD])
    assert path.read_bytes() == before  # reading migrates nothing
    new = replace(GOOD, genotype="g3", costs={"flash": 1e5, "latency": 2.5})
    with Store(path) as store:
        store.claim({"seed": 0})
        assert store.evaluations() == [GOOD, BAD]
        store.append(new, 3.5)
    with Store(path) as store:
        assert store.evaluations() == [GOOD, BAD, new]
        assert store.elapsed() == 3.5
    assert read_store(path)[1] == [GOOD, BAD, new]


def test_damage_is_noticed_before_a_store_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    old_store(path, damaged=True)
    for _ in range(2):
        with pytest.raises(RunError, match="evaluation 1 is damaged"):
            Store(path)


def test_the_store_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path) as store:
        store.append(GOOD, 1.0)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for opened in (Store, read_store):
        with pytest.raises(RunError, match="a later nas_search wrote it"):
            opened(path)
