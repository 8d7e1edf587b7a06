"""The user's own arrays, one .npy file per image, one folder per class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import assign, check_labels, image_data, single_precision
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Part, Parts
from nas_search.data.fit import LEAST_SIZE, FitName
from nas_search.data.folders import Labeled, find_images
from nas_search.data.layout import ArrayRule, Layout, channels_first

SUFFIXES = frozenset({".npy"})


@dataclass(frozen=True)
class NpyFolderOptions:
    """Options of ``dataset=npyfolder``.

    Attributes:
        path: folder with one folder per class, or with such folders in ``train``, ``test`` and
            ``val`` or what these are usually called.
        layout: order of the axes of the arrays, after n.
        size: height and width that images are fitted to, 8 or more; None leaves them as stored.
        fit: how images become square where ``size`` is set.
        rows: height of a series as an image, whose rows are all the series, 1 or more.
        class_level: 1 if the folders are the classes, 2 if those inside them are; None for 1
            where that is clear.
        holdout: fraction of every class held out for testing without a test folder, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    path: str = ""
    layout: Layout = "auto"
    size: int | None = None
    fit: FitName = "crop"
    rows: int = LEAST_SIZE
    class_level: int | None = None
    holdout: float = 0.2
    holdout_seed: int = 0


def load_npyfolder(options: NpyFolderOptions) -> ImageData:
    """Return the arrays below ``path``: uint8, or float that is not scaled, read on demand.

    Raises:
        InputError: a missing or empty folder, arrays of different shapes without a ``size``, or
            one that cannot be read.
    """
    return image_data(find_npyfolder(options))


def find_npyfolder(options: NpyFolderOptions) -> Parts:
    """Return the parts of the data set; reads the first array alone.

    Raises:
        InputError: as :func:`load_npyfolder`.
    """
    if not options.path:
        raise InputError("dataset=npyfolder needs a folder; add dataset.path=FOLDER")
    rule = ArrayRule(options.layout, options.size, options.fit, options.rows)
    root = user_path(options.path, "dataset.path")
    found = find_images(root, SUFFIXES, options.class_level)
    first = found.parts["train"].paths[0]
    array = _stored(first)
    view, axes = channels_first(array[None], str(first), options.layout)
    rule.check(view.shape, str(first))
    like = None if options.size is not None else (array.shape, array.dtype, first)
    parts = {
        role: _part(part, len(found.classes), rule, array.dtype, like)
        for role, part in found.parts.items()
    }
    names = {role: f"folder {part.folder.name}" for role, part in found.parts.items()}
    train, validation, test, origin = assign(parts, names, options.holdout, options.holdout_seed)
    return Parts(
        name="npyfolder",
        class_names=found.classes,
        train=train,
        test=test,
        validation=validation,
        used=found.used,
        form=f"{axes}, {rule}; {origin}",
        fit=options.fit,
    )


_Like = tuple[tuple[int, ...], np.dtype, Path]
"""Shape and type that all arrays must have, and the file that has them."""


def _part(
    part: Labeled, num_classes: int, rule: ArrayRule, kind: np.dtype, like: _Like | None
) -> Part:
    labels = check_labels(np.array(part.labels), str(part.folder), num_classes)
    read = partial(read_arrays, part.paths, rule, kind, like)
    return Part(str(part.folder), labels, read, part.paths, rule.series)


def read_arrays(
    paths: tuple[Path, ...], rule: ArrayRule, kind: np.dtype, like: _Like | None, indices: Tensor
) -> Tensor:
    """Return the arrays at ``indices`` (k,) as (k, C, H, W), uint8 or float32.

    Raises:
        InputError: a file cannot be read or is not like the others; the message names it.
    """
    images = [_one(paths[index], rule, kind, like) for index in indices.tolist()]
    if not images:
        return _one(paths[0], rule, kind, like)[:0]
    for index, image in zip(indices.tolist(), images, strict=True):
        if image.shape != images[0].shape:
            raise InputError(
                f"{paths[index]} has {image.shape[1]} channels, others have {images[0].shape[1]}; "
                "save all with the same"
            )
    return torch.cat(images)


def _one(path: Path, rule: ArrayRule, kind: np.dtype, like: _Like | None) -> Tensor:
    """Return one array as an image (1, C, H, W)."""
    array = _stored(path)
    if array.dtype != kind or (like is not None and array.shape != like[0]):
        expected = "" if like is None else f" of shape {like[0]}, as {like[2]}"
        raise InputError(
            f"{path} is {array.dtype} of shape {array.shape}, others are {kind}{expected}; save "
            "all alike, or set dataset.size=32 for shapes that differ"
        )
    view, _ = channels_first(array[None], str(path), rule.layout)
    pixels = torch.from_numpy(single_precision(view))
    return rule.read(lambda _: pixels, torch.zeros(1))


def _stored(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except Exception as error:  # damaged headers raise a dozen types, tokenizer errors included
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read {path} ({reason}); replace or remove it") from error
    return array


DATASETS.add(
    DatasetRecord(
        name="npyfolder",
        options=NpyFolderOptions,
        load=load_npyfolder,
        description="your own arrays (.npy), one folder per class: dataset.path=FOLDER",
        find=find_npyfolder,
    )
)
