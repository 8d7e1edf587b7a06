"""The jobs of a sweep: each leaves a note in the sweep's folder when it begins and when it ends.

A job that is refused leaves no folder, one that is killed says nothing, and by joblib or submitit
they run in other processes, on other machines; so what became of each is a file of its own in
``.sweep/``. Reports are made of them, and by them a repeated sweep runs only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

import nas_search
from nas_search.core.files import write_json

NOTES = ".sweep"
"""The folder of the notes in that of a sweep."""

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


@dataclass(frozen=True)
class Note:
    """What became of a job.

    Attributes:
        number: of the job in its sweep, from 0.
        folder: of its run, relative to that of the sweep.
        overrides: what was typed for it.
        status: ``running``, ``finished``, ``failed``, ``interrupted``; or ``not begun`` of a job
            that has left no note.
        reason: why it failed, in one line.
        digest: of its configuration.
        host: name of its machine, and ``process`` its number there.
    """

    number: int
    folder: str
    overrides: tuple[str, ...]
    status: str = "not begun"
    reason: str = ""
    digest: str = ""
    host: str = ""
    process: int = 0


def digest_of(config: DictConfig) -> str:
    """Return 16 characters that follow from a composed configuration and this version."""
    text = f"{nas_search.__version__}\n{OmegaConf.to_yaml(config)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_note(sweep: Path, note: Note) -> None:
    """Write a note in the place of an earlier one of the same job.

    Raises:
        OSError: the disk refuses.
    """
    folder = sweep / NOTES
    if folder.is_symlink():  # not written through
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{note.number}.json", asdict(note))


def begun(number: int, folder: str, overrides: list[str], digest: str) -> Note:
    """Return the note of a job that begins in this process."""
    here = socket.gethostname(), os.getpid()
    return Note(number, folder, tuple(overrides), "running", "", digest, *here)


def read_note(sweep: Path, number: int) -> Note | None:
    """Return the note of a job; None if there is none, or none that can be read."""
    file = sweep / NOTES / f"{number}.json"
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        note = Note(**{**values, "overrides": tuple(map(str, values["overrides"]))})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    inside = isinstance(note.folder, str) and ".." not in Path(note.folder).parts
    return note if inside and note.number == number else None


def is_finished(sweep: Path, number: int, config: DictConfig) -> bool:
    """Whether a job of this very configuration has ended well, and its run is still there."""
    note = read_note(sweep, number)
    if note is None or note.status != "finished" or note.digest != digest_of(config):
        return False
    run = sweep / note.folder
    return (run / "run.sqlite").exists() and (run / "summary.json").exists()


def jobs_of(sweep: Path) -> list[Note]:
    """Return the jobs of a sweep in order, those that have not begun too.

    What is still to come is known of Hydra's own sweeper, which combines the typed values.
    """
    numbers = [int(file.stem) for file in (sweep / NOTES).glob("*.json") if file.stem.isdigit()]
    notes = {number: note for number in numbers if (note := read_note(sweep, number)) is not None}
    for number, overrides in enumerate(_planned(sweep)):
        notes.setdefault(number, Note(number, str(number), tuple(overrides)))
    return [_as_it_is(sweep, notes[number]) for number in sorted(notes)]


def _planned(sweep: Path) -> list[list[str]]:
    """Return the overrides of all jobs of a sweep; none where they are not known beforehand."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    try:
        typed = yaml.safe_load((sweep / "multirun.yaml").read_text(encoding="utf-8"))["hydra"]
        if typed["sweeper"]["_target_"] != BASIC:
            return []
        everything = [*(typed["overrides"]["task"] or []), *_parameters(typed["sweeper"])]
        parsed = OverridesParser.create().parse_overrides(list(map(str, everything)))
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError, HydraException):
        return []
    return [list(job) for batch in batches for job in batch]


def _parameters(sweeper: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]


def _as_it_is(sweep: Path, note: Note) -> Note:
    """Return a note, ``interrupted`` if the job's process has gone without a word."""
    if note.status != "running" or _is_locked(sweep / note.folder / "run.lock"):
        return note
    if note.host == socket.gethostname() and _is_alive(note.process):
        return note
    return Note(**{**asdict(note), "status": "interrupted", "reason": "its process has gone"})


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_locked(lock: Path) -> bool:
    """Whether a process holds a run's lock, see :class:`nas_search.runs.lock.Lock`."""
    if not lock.exists():
        return False
    connection = sqlite3.connect(f"file:{lock.absolute()}?mode=ro", uri=True, timeout=0)
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    return False
