"""The store of a run: one SQLite file that is its history and its checkpoint.

One row is committed per evaluation before the algorithm is told, so a run that is killed loses at
most the evaluation in progress.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evaluations (
    number INTEGER PRIMARY KEY,
    genotype TEXT NOT NULL,
    key TEXT NOT NULL,
    status TEXT NOT NULL,
    scores TEXT NOT NULL,
    params INTEGER,
    macs INTEGER,
    seconds REAL NOT NULL,
    elapsed REAL NOT NULL,
    reason TEXT NOT NULL
);
"""


def read_evaluations(path: Path) -> list[Evaluation]:
    """Return the evaluations in a store; another process may be writing to it.

    Raises:
        InputError: there is no store.
        RunError: it cannot be read.
    """
    if not path.exists():
        raise InputError(f"there is no store {path}; give the directory of a search")
    try:
        # As a URI, which spells "#", "?" and "%" of a folder's name in its own way.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return _rows(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise RunError(f"cannot read {path} ({error})") from error


def _rows(connection: sqlite3.Connection) -> list[Evaluation]:
    rows = connection.execute(
        "SELECT genotype, key, status, scores, params, macs, seconds, reason"
        " FROM evaluations ORDER BY number"
    ).fetchall()
    return [
        Evaluation(genotype, key, status, json.loads(scores), *rest)
        for genotype, key, status, scores, *rest in rows
    ]


class Store:
    """Evaluations and identity of one run, on disk.

    Use it as a context manager. Only one process at a time can open a run's store for writing.

    Args:
        path: the SQLite file; created if missing.

    Raises:
        RunError: the file is not a store, another process has it open, or the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._clear_errors():
            self._lock = sqlite3.connect(path.with_suffix(".lock"), timeout=0)
            try:
                # Locked until this process ends, however it ends; reading is not blocked.
                self._lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                raise RunError(
                    f"another process is running in {path.parent}; "
                    "wait for it or choose another hydra.run.dir"
                ) from None
            self._connection = sqlite3.connect(path)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # With WAL, NORMAL survives a killed process; only a power cut can lose the last rows.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(SCHEMA)
            (check,) = self._connection.execute("PRAGMA quick_check").fetchone()
            if check != "ok":
                raise sqlite3.DatabaseError(check)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._lock.close()

    def append(self, evaluation: Evaluation, elapsed: float) -> None:
        """Commit ``evaluation``, made ``elapsed`` seconds into the search.

        Raises:
            RunError: the disk is full or the file has become unreadable.
        """
        with self._clear_errors(), self._connection:
            self._connection.execute(
                "INSERT INTO evaluations (genotype, key, status, scores, params, macs, seconds,"
                " elapsed, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    evaluation.genotype,
                    evaluation.key,
                    evaluation.status,
                    json.dumps(evaluation.scores),
                    evaluation.params,
                    evaluation.macs,
                    evaluation.seconds,
                    elapsed,
                    evaluation.reason,
                ),
            )

    def evaluations(self) -> list[Evaluation]:
        """Return all evaluations in the order in which they were proposed."""
        with self._clear_errors():
            return _rows(self._connection)

    def elapsed(self) -> float:
        """Return the search time in seconds at the last evaluation, 0 if there is none."""
        with self._clear_errors():
            (seconds,) = self._connection.execute("SELECT MAX(elapsed) FROM evaluations").fetchone()
            return float(seconds or 0.0)

    def claim(self, identity: dict[str, Any], notes: dict[str, Any] | None = None) -> None:
        """Write the settings that define a new run, or check them against the stored ones.

        Args:
            identity: JSON-serializable settings by name.
            notes: further values to store with a new run; they may differ when it continues.

        Raises:
            InputError: the store belongs to a run of other settings; the message names them.
        """
        with self._clear_errors(), self._connection:
            stored = dict(self._connection.execute("SELECT key, value FROM run").fetchall())
            if not stored:
                self._connection.executemany(
                    "INSERT INTO run (key, value) VALUES (?, ?)",
                    [
                        (k, json.dumps(v, sort_keys=True))
                        for k, v in {**identity, **(notes or {})}.items()
                    ],
                )
                return
        here = {key: json.dumps(value, sort_keys=True) for key, value in identity.items()}
        there = {key: value for key, value in stored.items() if key not in (notes or {})}
        differing = [
            f"{key}: {there.get(key, 'absent')} there, {here.get(key, 'absent')} here"
            for key in {**here, **there}
            if there.get(key) != here.get(key)
        ]
        if differing:
            raise InputError(
                f"{self.path.parent} holds another run ({'; '.join(differing)}); repeat its "
                "command to continue it, or choose another hydra.run.dir"
            )

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Turn errors of SQLite into one line with the remedy."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            if isinstance(error, InputError):
                raise
            if "full" in str(error) or "disk I/O" in str(error):
                raise RunError(
                    f"the disk refuses to write {self.path} ({error}); "
                    "free space and repeat the command: it continues"
                ) from error
            if "unable to open" in str(error) or "readonly" in str(error):
                raise RunError(
                    f"cannot write {self.path} ({error}); choose a writable hydra.run.dir"
                ) from error
            raise RunError(
                f"{self.path} is not a readable store ({error}); "
                "move it away or choose another hydra.run.dir"
            ) from error
