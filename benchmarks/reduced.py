"""CIFAR-10 with fewer and smaller images, and recipes that fit them."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.nn.functional import interpolate

from nas_search.commands.command import CONF
from nas_search.commands.reading import read_as
from nas_search.core.errors import InputError
from nas_search.data import DATASETS, ImageData, Split, stratified_holdout
from nas_search.data.assemble import image_data
from nas_search.data.base import Part, Parts
from nas_search.training import Recipe


def default_recipe(name: str) -> Recipe:
    """Return a recipe of ``conf/recipe`` as it is."""
    text = (Path(CONF) / "recipe" / f"{name}.yaml").read_text(encoding="utf-8")
    return read_as(Recipe, "recipe", yaml.safe_load(text))


def read_recipe(name: str, **changes: Any) -> Recipe:
    """Return a recipe of ``conf/recipe`` that learns from all images for exactly its epochs."""
    exact = {"validation": 0.0, "min_steps": 0}
    return dataclasses.replace(default_recipe(name), **{**exact, **changes})


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

    Raises:
        InputError: the file has fewer images than asked for.
    """
    record = DATASETS.get("npz")
    data = record.load(record.options(path=path))
    if images is None and tests is None and data.input_shape[1:] == (size, size):
        return data
    train, test = _part(data.train, images, size), _part(data.test, tests, size)
    return image_data(Parts(data.name, data.class_names, train, test))


def _part(split: Split, count: int | None, size: int) -> Part:
    rows = torch.arange(len(split))
    if count is not None and count > len(split):
        raise InputError(f"{count:,} images were asked for; there are {len(split):,}")
    if count is not None and count < len(split):
        _, rows = stratified_holdout(split.labels, count / len(split), seed=0)
    pixels = torch.cat(
        [
            interpolate(split.read(chunk).float(), (size, size), mode="area").round().byte()
            for chunk in rows.split(1000)
        ]
    )
    return Part(split.origin, split.labels[rows], partial(torch.index_select, pixels, 0))
