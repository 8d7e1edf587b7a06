"""What the studies that train networks share: one training, and the file of those that are done.

Trainings are those of ``python -m nas_search.train`` with ``recipe.validation=0``: all training
images are learnt from, and the test images are read once, after the last epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.common import append_rows
from nas_search.core.versions import versions
from nas_search.data import ImageData
from nas_search.report import finalists_table, learning_curve
from nas_search.runs.architecture import Architecture
from nas_search.training import (
    Finalist,
    FinalistsConfig,
    Recipe,
    Renderers,
    TrainingPlan,
    train_finalists,
)
from studies.result_files import Row, read_rows


def train_once(
    architecture: Architecture, data: ImageData, recipe: Recipe, seed: int, device: str
) -> Finalist:
    """Return what became of one training; its folder is thrown away.

    Raises:
        RunError: it failed.
    """
    plan = TrainingPlan(recipe, FinalistsConfig(k=1, seeds=[seed]), device, versions())
    views, quiet = Renderers(learning_curve, finalists_table), Console(quiet=True)
    with TemporaryDirectory() as folder:
        (done,) = train_finalists([Finalist(architecture)], data, plan, Path(folder), quiet, views)
    return done


class Results:
    """A CSV file of trainings: read at the start, added to as they come.

    Args:
        path: the file; made when there is none.
        columns: its columns.
        settings: values of some columns that all trainings of this command share; rows of other
            settings may stand in the same file and are left alone.
        key: columns that tell the trainings of this command apart.
    """

    def __init__(
        self, path: Path, columns: Sequence[str], settings: Mapping[str, Any], key: Sequence[str]
    ) -> None:
        self._path, self._columns, self._key = path, columns, key
        self._settings = {name: str(value) for name, value in settings.items()}

    def rows(self) -> list[Row]:
        """Return the trainings of this command's settings that are done."""
        return [
            row
            for row in read_rows(self._path)
            if all(row[name] == value for name, value in self._settings.items())
        ]

    def missing(self, wanted: Sequence[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Yield those of ``wanted`` (values of the key) that are not done."""
        done = {tuple(row[name] for name in self._key) for row in self.rows()}
        for values in wanted:
            if tuple(map(str, values)) not in done:
                yield values

    def add(self, values: Mapping[str, Any]) -> None:
        """Write a training that is done."""
        row = {**self._settings, **values}
        append_rows(self._path, self._columns, [[row[name] for name in self._columns]])
