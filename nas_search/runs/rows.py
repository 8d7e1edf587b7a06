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
    digest TEXT NOT NULL
);
"""

COLUMNS = (
    *("number", "genotype", "key", "status", "scores", "params", "macs", "seconds", "elapsed"),
    "reason",
)


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
    ]
    return [*values, digest(values)]


def select_evaluations(connection: sqlite3.Connection) -> tuple[list[Evaluation], float]:
    """Return all evaluations and the search time at the last one.

    Raises:
        ValueError: a row was changed or lost.
        sqlite3.Error: they cannot be read.
    """
    query = f"SELECT {', '.join(COLUMNS)}, digest FROM evaluations ORDER BY number"
    evaluations, last = [], 0.0
    for count, (*values, stored) in enumerate(connection.execute(query), 1):
        number, genotype, key, status, scores, params, macs, seconds, elapsed, reason = values
        if number != count or digest(values) != stored or status not in STATUSES:
            raise ValueError(f"evaluation {count} is damaged")
        evaluations.append(
            Evaluation(genotype, key, status, json.loads(scores), params, macs, seconds, reason)
        )
        last = max(last, elapsed)
    return evaluations, last


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
