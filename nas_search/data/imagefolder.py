"""The user's own images, one folder per class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.assemble import (
    Part,
    channel_statistics,
    check_labels,
    holdout_parts,
    image_data,
)
from nas_search.data.base import DATASETS, DatasetRecord, ImageData

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})
STATISTICS_IMAGES = 512  # decoding is slow, and 512 images give a channel mean to one percent


@dataclass(frozen=True)
class ImageFolderOptions:
    """Options of ``dataset=imagefolder``.

    Attributes:
        path: folder with one folder per class, or with two such folders: ``train``, and ``test`` or
            ``val``.
        size: height and width in pixels of the images, 8 or more.
        holdout: fraction of every class held out for testing without a test folder, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    path: str = ""
    size: int = 32
    holdout: float = 0.2
    holdout_seed: int = 0


def load_imagefolder(options: ImageFolderOptions) -> ImageData:
    """Return the images below ``path`` as RGB; classes are named after the folders, sorted.

    Images are decoded on demand: shorter side resized to ``size``, then center-cropped.

    Raises:
        InputError: a missing or empty folder, fewer than two classes, or an image that cannot be
            decoded.
    """
    if not options.path:
        raise InputError("dataset=imagefolder needs a folder; add dataset.path=FOLDER")
    if options.size < 8:
        raise InputError(f"dataset.size={options.size} is too small for images; use 8 or more")
    root = Path(options.path).expanduser()
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; check dataset.path")
    try:
        train_root = root / "train" if (root / "train").is_dir() else root
        classes = class_folders(train_root)
        train = _part(train_root, classes, options.size)
        test_roots = [] if train_root == root else [root / "test", root / "val"]
        test_root = next((folder for folder in test_roots if folder.is_dir()), None)
        if test_root is None:
            train, test = holdout_parts(train, options.holdout, options.holdout_seed)
        else:
            test = _part(test_root, classes, options.size)
    except OSError as error:
        raise InputError(f"cannot list {root} ({error.strerror}); check its permissions") from error
    statistics = channel_statistics(train, STATISTICS_IMAGES)
    return image_data("imagefolder", classes, train, test, statistics)


def class_folders(root: Path) -> list[str]:
    """Return the sorted names of the folders in ``root`` without hidden ones.

    Raises:
        InputError: there are fewer than two.
    """
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise InputError(
            f"{root} has {len(names)} class folders; put the images of each class into a folder "
            "of its own, at least 2"
        )
    return names


def _part(root: Path, classes: list[str], size: int) -> Part:
    """Return the images of ``classes`` below ``root``; an unknown or empty class is an error."""
    unknown = sorted(set(class_folders(root)) - set(classes))
    if unknown:
        raise InputError(
            f"{root / unknown[0]} has no class of this name among the training folders; "
            "rename or remove it"
        )
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = [p for p in sorted((root / name).rglob("*")) if _is_image(p)]
        if not files:
            kinds = " ".join(sorted(SUFFIXES))
            raise InputError(f"{root / name} holds no image ({kinds}); add some or remove it")
        paths += files
        labels += [label] * len(files)
    targets = check_labels(np.array(labels), str(root), len(classes))
    return str(root), targets, partial(read_images, tuple(paths), size)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_images(paths: tuple[Path, ...], size: int, indices: Tensor) -> Tensor:
    """Return the images at ``indices`` (k,) as uint8 (k, 3, size, size).

    Raises:
        InputError: one of these files cannot be decoded; the message names it.
    """
    pixels = np.empty((len(indices), size, size, 3), np.uint8)
    for row, index in enumerate(indices.tolist()):
        pixels[row] = read_image(paths[index], size)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def read_image(path: Path, size: int) -> np.ndarray:
    """Return one image as (size, size, 3) uint8 RGB, upright, resized and center-cropped."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR))
    except Exception as error:  # Pillow's exceptions for damaged files depend on the format
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot decode {path} ({reason}); replace or remove it") from error


DATASETS.add(
    DatasetRecord(
        name="imagefolder",
        options=ImageFolderOptions,
        load=load_imagefolder,
        description="your own images, one folder per class: dataset.path=FOLDER",
    )
)
