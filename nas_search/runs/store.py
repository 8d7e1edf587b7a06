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
from nas_search.runs.lock import Lock, cannot_write, refuse_link
from nas_search.runs.rows import (
    COLUMNS,
    digest,
    migrate,
    row,
    select_evaluations,
    select_record,
)


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
        self._new = not path.exists()
        refuse_link(path)
        self._lock = Lock(path.with_suffix(".lock"))
        try:
            with self._clear_errors():
                self._connection = sqlite3.connect(path)
                self._connection.execute("PRAGMA journal_mode=WAL")
                # With WAL, NORMAL survives a killed process; only a power cut can lose last rows.
                self._connection.execute("PRAGMA synchronous=NORMAL")
                (check,) = self._connection.execute("PRAGMA quick_check").fetchone()
                if check != "ok":
                    raise sqlite3.DatabaseError(check)
                migrate(self._connection)
                self._evaluations, self._elapsed = select_evaluations(self._connection)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        self._connection.close()
        refused = kind is not None and issubclass(kind, InputError)
        self._lock.close()
        if refused and self._new and not self._evaluations:  # it leaves nothing behind
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".lock").unlink(missing_ok=True)

    def append(self, evaluation: Evaluation, elapsed: float) -> None:
        """Commit ``evaluation``, made ``elapsed`` seconds into the search.

        Raises:
            RunError: the disk is full or the file has become unreadable.
        """
        values = row(len(self._evaluations) + 1, evaluation, elapsed)
        with self._clear_errors(), self._connection:
            self._connection.execute(
                f"INSERT INTO evaluations ({', '.join(COLUMNS)}, digest) "
                f"VALUES ({', '.join('?' * len(values))})",
                values,
            )
        self._evaluations.append(evaluation)
        self._elapsed = max(self._elapsed, elapsed)

    def evaluations(self) -> list[Evaluation]:
        """Return all evaluations in the order in which they were proposed."""
        return list(self._evaluations)

    def elapsed(self) -> float:
        """Return the search time in seconds at the last evaluation, 0 if there is none."""
        return self._elapsed

    def claim(self, identity: dict[str, Any], notes: dict[str, Any] | None = None) -> None:
        """Write the settings that define a new run, or check them against the stored ones.

        Args:
            identity: JSON-serializable settings by name.
            notes: further values to store; those of the last call count, and they may differ.

        Raises:
            InputError: the store belongs to a run of other settings; the message names them.
        """
        here = {key: json.dumps(value, sort_keys=True) for key, value in identity.items()}
        aside = {key: json.dumps(value, sort_keys=True) for key, value in (notes or {}).items()}
        with self._clear_errors(), self._connection:
            record = select_record(self._connection)
            there = {k: json.dumps(v, sort_keys=True) for k, v in record.items() if k not in aside}
            differing = [
                f"{key}: {there.get(key, 'absent')} there, {here.get(key, 'absent')} here"
                for key in {**here, **there}
                if there.get(key) != here.get(key)
            ]
            if record and differing:
                raise InputError(
                    f"{self.path.parent} holds another run ({'; '.join(differing)}); repeat its "
                    "command to continue it, or choose another hydra.run.dir"
                )
            self._connection.executemany(
                "INSERT OR REPLACE INTO run (key, value, digest) VALUES (?, ?, ?)",
                [(key, value, digest([key, value])) for key, value in {**here, **aside}.items()],
            )

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Turn errors of SQLite into one line with the remedy."""
        try:
            yield
        except InputError:
            raise
        except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
            refusals = ("full", "disk I/O", "unable to open", "readonly")
            if any(words in str(error) for words in refusals):
                raise cannot_write(self.path, error) from error
            reason = " ".join(str(error).split())
            raise RunError(
                f"{self.path} is not a readable store ({reason}); "
                "move it away or choose another hydra.run.dir"
            ) from error
