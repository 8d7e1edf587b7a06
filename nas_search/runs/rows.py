"""The tables of a store, and its rows with their digests."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import STATUSES, Evaluation

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL);
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
    reason TEXT NOT NULL,
    costs TEXT NOT NULL,
    digest TEXT NOT NULL
);
"""

COLUMNS = (
    *("number", "genotype", "key", "status", "scores", "params", "macs", "seconds", "elapsed"),
    *("reason", "costs"),
)

VERSION = 1
"""Version of the schema, SQLite's ``user_version``. Version 0 has no costs."""


def digest(values: Sequence[Any]) -> str:
    """Return the digest of the values of a row: a bit that flips on the disk is noticed."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def row(number: int, evaluation: Evaluation, elapsed: float) -> list[Any]:
    """Return the row of an evaluation, with its digest."""
    values = [
        *(number, evaluation.genotype, evaluation.key, evaluation.status),
        *(json.dumps(evaluation.scores), evaluation.params, evaluation.macs),
        *(float(evaluation.seconds), float(elapsed)),
        evaluation.reason.encode("utf-8", "backslashreplace").decode(),
        json.dumps(evaluation.costs),
    ]
    return [*values, digest(values)]


def select_evaluations(connection: sqlite3.Connection) -> tuple[list[Evaluation], float]:
    """Return all evaluations and the search time at the last one.

    Raises:
        ValueError: a row was changed or lost, or a later version wrote them.
        sqlite3.Error: they cannot be read.
    """
    columns = COLUMNS if version_of(connection) else COLUMNS[:-1]
    query = f"SELECT {', '.join(columns)}, digest FROM evaluations ORDER BY number"
    evaluations, last = [], 0.0
    for count, (*values, stored) in enumerate(connection.execute(query), 1):
        number, genotype, key, status, scores, params, macs, seconds, elapsed, reason = values[:10]
        costs = values[10] if len(values) > 10 else "{}"
        if number != count or digest(values) != stored or status not in STATUSES:
            raise ValueError(f"evaluation {count} is damaged")
        evaluations.append(
            Evaluation(
                genotype=genotype,
                key=key,
                status=status,
                scores=json.loads(scores),
                params=params,
                macs=macs,
                seconds=seconds,
                reason=reason,
                costs=json.loads(costs),
            )
        )
        last = max(last, elapsed)
    return evaluations, last


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the schema of a store.

    Raises:
        ValueError: a later version of the package wrote it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise ValueError(f"a later nas_search wrote it, schema {version} > {VERSION}: update")
    return int(version)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to the schema of this version; one transaction, so that all of it is done.

    Raises:
        ValueError: a row was changed or lost, or a later version wrote the store.
        sqlite3.Error: it cannot be read or written.
    """
    made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'evaluations'").fetchone()
    if made and version_of(connection) == 0:
        query = f"SELECT {', '.join(COLUMNS[:-1])}, digest FROM evaluations ORDER BY number"
        rows = connection.execute(query).fetchall()
        select_evaluations(connection)  # nothing that is damaged gets a new digest
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            column = "costs TEXT NOT NULL DEFAULT '{}'"
            connection.execute(f"ALTER TABLE evaluations ADD COLUMN {column}")
            connection.executemany(
                "UPDATE evaluations SET digest = ? WHERE number = ?",
                [(digest([*values, "{}"]), values[0]) for *values, _ in rows],
            )
            connection.execute(f"PRAGMA user_version = {VERSION}")
    elif not made:
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")


def select_record(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what was stored of the run by key.

    Raises:
        ValueError: a value was changed.
        sqlite3.Error: it cannot be read.
    """
    record = {}
    for key, value, stored in connection.execute("SELECT key, value, digest FROM run"):
        if digest([key, value]) != stored:
            raise ValueError(f"its {key} is damaged")
        record[str(key)] = json.loads(value)
    return record


def read_store(path: Path) -> tuple[dict[str, Any], list[Evaluation]]:
    """Return the record of a run and its evaluations; another process may be writing to it.

    Raises:
        InputError: there is no store.
        RunError: it cannot be read.
    """
    if not path.exists():
        raise InputError(f"there is no store {path}; give the directory of a search")
    journal = path.with_name(path.name + "-wal").exists()
    # Without a journal nobody writes, and nothing has to be made beside the file to read it.
    how = "mode=ro" if journal else "immutable=1"
    try:
        return _read(f"file:{quote(os.fsencode(path.absolute()))}?{how}")
    except Exception as error:  # a damaged file raises a dozen types
        reason = " ".join(str(error).split()) or type(error).__name__
        hint = (
            "" if journal else "; if it was copied from a search that ran, copy its -wal file too"
        )
        raise RunError(f"cannot read {path} ({reason}){hint}") from error


def _read(address: str) -> tuple[dict[str, Any], list[Evaluation]]:
    connection = sqlite3.connect(address, uri=True)
    try:
        return select_record(connection), select_evaluations(connection)[0]
    finally:
        connection.close()
