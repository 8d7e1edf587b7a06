"""The bridges of a search: each is told everything once, whatever stopped the search before."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_search.bridges.bridge import BRIDGES, Bridge, BridgeRecord
from nas_search.bridges.needs import need
from nas_search.bridges.told import Telling
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_text
from nas_search.core.objectives import Objectives

NOTE = "told.json"
"""File in a bridge's folder: how much it was told."""


def check_bridges(names: Sequence[str]) -> None:
    """Refuse bridges that do not exist, and those whose package is missing.

    Raises:
        InputError: there is one.
    """
    for name in names:
        record = BRIDGES.get(name)
        need(record.package, record.extra, f"bridges=[{name}]")
    if len(set(names)) < len(names):
        raise InputError(f"bridges=[{','.join(names)}] names one twice")


class Bridges:
    """Tells all bridges of a search; a context manager.

    How much a bridge was told is noted in its folder before it is told, so a search that is
    killed and continued tells nothing twice; what was being told, or what a bridge had not written
    yet, is missing there. A bridge that fails is left out from then on, and never costs the search:
    ``say`` gets a line.

    Args:
        names: the bridges.
        directory: of the run; each bridge has a folder of its name in it.
        say: prints a line.
    """

    def __init__(self, names: Sequence[str], directory: Path, say: Callable[[str], object]) -> None:
        self._records = [BRIDGES.get(name) for name in names]
        self._directory = directory
        self._say = say
        self._open: dict[str, tuple[BridgeRecord, Bridge, _Note]] = {}
        self._telling = Telling(())
        self._number = 0

    def __enter__(self) -> Bridges:
        return self

    def __exit__(self, *_: object) -> None:
        for name, opened in list(self._open.items()):
            self._safely(name, opened[1].close)

    def start(
        self, facts: Mapping[str, Any], objectives: Objectives, recorded: Sequence[Evaluation]
    ) -> None:
        """Open the bridges, and tell them what they do not know of a search that is continued.

        Args:
            facts: hyperparameters, nested.
            objectives: of the search.
            recorded: evaluations that were made before.

        Raises:
            InputError: one cannot be opened as it is configured.
        """
        self._telling = Telling(objectives)
        for record in self._records:
            folder = self._directory / record.name
            folder.mkdir(exist_ok=True)
            note = _Note(folder / NOTE)
            bridge = record.open(folder, flat(facts), note.evaluations > 0)
            self._open[record.name] = (record, bridge, note)
        for evaluation in recorded:
            self.evaluation(evaluation)

    def evaluation(self, evaluation: Evaluation) -> None:
        """Tell the next evaluation to those that do not know it."""
        if not self._open:
            return
        self._number += 1
        number, values = self._number, self._telling.of(evaluation)
        for name, (_, bridge, note) in list(self._open.items()):
            if number > note.evaluations:

                def tell(bridge: Bridge = bridge, note: _Note = note) -> None:
                    note.keep(evaluations=number)
                    bridge.evaluation(number, values)

                self._safely(name, tell)

    def curves(self) -> None:
        """Tell the learning curves of the finalists, as far as they are not known there."""
        wanting = [name for name, (record, *_) in self._open.items() if record.curves]
        logs = sorted((self._directory / "finalists").glob("*/seed*/log.csv")) if wanting else []
        for log in logs:
            training = f"{log.parent.parent.name}/{log.parent.name}"
            rows = list(rows_of(log))
            for name in wanting:
                if name in self._open:
                    self._safely(name, lambda name=name: self._curve(name, training, rows))  # type: ignore[misc] # noqa: B023

    def _curve(self, name: str, training: str, rows: Sequence[Mapping[str, float]]) -> None:
        _, bridge, note = self._open[name]
        for number, values in enumerate(rows, 1):
            if number > note.epochs.get(training, 0):
                note.keep(training=training, epochs=number)
                bridge.epoch(training, number, values)

    def _safely(self, name: str, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception as error:  # a picture elsewhere is never worth a search
            self._open.pop(name, None)
            reason = " ".join(str(error).split()) or type(error).__name__
            self._say(f"bridges=[{name}] failed and is told no more ({reason}); the search goes on")


class _Note:
    """How much a bridge was told, on disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.evaluations = 0
        self.epochs: dict[str, int] = {}
        if file.exists():
            try:
                known = json.loads(file.read_text(encoding="utf-8"))
                self.evaluations = int(known["evaluations"])
                self.epochs = {str(key): int(value) for key, value in known["epochs"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"{file} is broken ({error}); delete {file.parent}, and it is told all anew"
                ) from None

    def keep(self, evaluations: int = 0, training: str = "", epochs: int = 0) -> None:
        """Note what is told next."""
        self.evaluations = max(self.evaluations, evaluations)
        if training:
            self.epochs[training] = epochs
        told = {"evaluations": self.evaluations, "epochs": self.epochs}
        write_text(self._file, json.dumps(told))


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested values by dotted name, without those that are None; lists as text."""
    told: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            told |= flat(value, f"{name}.")
        elif isinstance(value, bool | int | float | str):
            told[name] = value
        elif value is not None:
            told[name] = str(value)
    return told


def rows_of(log: Path) -> Iterator[dict[str, float]]:
    """Yield the rows of a ``log.csv`` as finite numbers by column."""
    with log.open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            yield {key: value for key, cell in row.items() if (value := _number(cell)) is not None}


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
