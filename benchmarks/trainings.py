"""What the benchmarks that train networks share: fewer and smaller images, one training, its file.

Trainings are those of ``python -m nas_search.train`` with ``recipe.validation=0``: all training
images are learnt from, and the test images are read once, after the last epoch.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from rich.console import Console
from torch.nn.functional import interpolate

from benchmarks.common import append_rows
from nas_search.commands.command import CONF
from nas_search.commands.reading import read_as
from nas_search.core.versions import versions
from nas_search.data import DATASETS, ImageData, Split, stratified_holdout
from nas_search.data.assemble import Part, channel_statistics, image_data
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

Row = dict[str, str]


def read_recipe(name: str, **changes: Any) -> Recipe:
    """Return a recipe of ``conf/recipe`` that learns from all training images."""
    text = (Path(CONF) / "recipe" / f"{name}.yaml").read_text(encoding="utf-8")
    return dataclasses.replace(
        read_as(Recipe, "recipe", yaml.safe_load(text)), **{"validation": 0.0, **changes}
    )


def with_crop(recipe: Recipe, size: int) -> Recipe:
    """Return ``recipe`` with the crop of 32 x 32 images in proportion for ``size`` x ``size``."""
    how = recipe.augmentation
    crop = round(how.crop * size / 32)
    return dataclasses.replace(recipe, augmentation=dataclasses.replace(how, crop=crop))


def cifar10(path: str, images: int | None, tests: int | None, size: int) -> ImageData:
    """Return the data in an .npz, reduced.

    Args:
        path: arrays x_train, y_train, x_test, y_test.
        images: training images, as many of every class; None for all.
        tests: test images, likewise.
        size: height and width in pixels, by averaging areas.
    """
    record = DATASETS.get("npz")
    data = record.load(record.options(path=path))
    if images is None and tests is None and data.input_shape[1:] == (size, size):
        return data
    train, test = _part(data.train, images, size), _part(data.test, tests, size)
    return image_data(data.name, data.class_names, train, test, channel_statistics(train))


def _part(split: Split, count: int | None, size: int) -> Part:
    rows = torch.arange(len(split))
    if count is not None and count < len(split):
        _, rows = stratified_holdout(split.labels, count / len(split), seed=0)
    pixels = torch.cat(
        [
            interpolate(split.read(chunk).float(), (size, size), mode="area").round().byte()
            for chunk in rows.split(1000)
        ]
    )
    return split.origin, split.labels[rows], partial(torch.index_select, pixels, 0)


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
        if not self._path.exists():
            return []
        with self._path.open(newline="") as file:
            return [
                row
                for row in csv.DictReader(file)
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
