"""Picture files, decoded on demand: which ones Pillow opens, and how each is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nas_search.data.assemble import check_labels, spaced_rows
from nas_search.data.base import Part, printable
from nas_search.data.fit import LEAST_SIZE, Fit, fit_picture
from nas_search.data.pixels import read_rgb

STATISTICS_IMAGES = 512  # decoding is slow, and 512 images give a channel mean to one percent

ENLARGED = 2
"""Pictures that are enlarged more than so many times are said to be small."""

_RECOGNIZED_ONLY = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow knows by name and cannot decode by itself."""


def picture_suffixes() -> frozenset[str]:
    """Return the endings of files that Pillow decodes, those of installed plugins too."""
    Image.init()
    endings = Image.registered_extensions().items()
    known = Image.OPEN.keys() - _RECOGNIZED_ONLY
    return frozenset(suffix.lower() for suffix, kind in endings if kind in known)


def size_notes(files: Sequence[Path], rule: Fit) -> tuple[str, ...]:
    """Return a line that says which pictures are much enlarged by ``rule``; none if few are.

    At most :data:`STATISTICS_IMAGES` headers are read; those that cannot be are said elsewhere.
    """
    side = max if rule.name == "pad" else min
    sizes: list[tuple[int, Path]] = []
    for row in spaced_rows(len(files), STATISTICS_IMAGES).tolist():
        try:
            with Image.open(files[row]) as image:
                sizes.append((side(image.size), files[row]))
        except Exception:  # Pillow's exceptions for damaged files depend on the format
            continue
    small = [size for size in sizes if size[0] * ENLARGED < rule.size]
    if not small:
        return ()
    least, file = min(small)
    note = (
        f"{len(small):,} of {len(sizes):,} pictures looked at are enlarged more than {ENLARGED} "
        f"times; of {printable(str(file))}, {least} pixels become {rule.size}"
    )
    if rule.size > LEAST_SIZE:
        note += f"; a smaller dataset.size, {LEAST_SIZE} or more, may do"
    return (note,)


def picture_part(
    origin: str, paths: Sequence[Path], labels: Sequence[int], num_classes: int, rule: Fit
) -> Part:
    """Return these pictures as a part of a data set of ``num_classes`` classes."""
    files = tuple(paths)
    targets = check_labels(np.array(labels), origin, num_classes)
    return Part(origin, targets, partial(read_images, files, rule), files)


def read_images(paths: tuple[Path, ...], rule: Fit, indices: Tensor) -> Tensor:
    """Return the pictures at ``indices`` (k,) as uint8 (k, 3, size, size).

    Raises:
        InputError: one of these files cannot be decoded; the message names it.
    """
    pixels = np.empty((len(indices), rule.size, rule.size, 3), np.uint8)
    for row, index in enumerate(indices.tolist()):
        pixels[row] = read_image(paths[index], rule)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def read_image(path: Path, rule: Fit) -> np.ndarray:
    """Return one picture as (size, size, 3) uint8 RGB, upright and fitted by ``rule``.

    Raises:
        InputError: it cannot be decoded; the message names it.
    """
    return np.asarray(fit_picture(read_rgb(path, rule.background), rule))
