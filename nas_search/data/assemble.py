"""Make a data set of labels and a pixel reader: checks, hold-out, channel statistics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.base import ImageData, Reader, Split

STATISTICS_IMAGES = 4096
_CHUNK = 256

Part = tuple[str, Tensor, Reader]
"""Origin, labels and reader of one part of a data set, before it is normalized."""


def check_labels(labels: np.ndarray, origin: str, num_classes: int | None = None) -> Tensor:
    """Return ``labels`` as an int64 tensor (n,) in 0..C-1.

    Args:
        labels: labels as stored on disk.
        origin: name of the labels in messages.
        num_classes: C if known; otherwise each of 0..max must occur (a training split).

    Raises:
        InputError: not one-dimensional, not integers, out of range, or a class without images.
    """
    if labels.ndim != 1:
        raise InputError(
            f"{origin}: labels have shape {labels.shape}, expected (n,), one integer per image"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"{origin}: labels are {labels.dtype}, expected integers 0..C-1; "
            "convert with y.astype('int64')"
        )
    if len(labels) == 0:
        raise InputError(f"{origin}: there are no images; give at least one per class")
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise InputError(f"{origin}: labels must be 0..C-1, found {low}; renumber them")
    if num_classes is not None:
        if high >= num_classes:
            raise InputError(
                f"{origin}: label {high} is not among the {num_classes} training classes "
                f"0..{num_classes - 1}; renumber the labels"
            )
    else:
        present = np.unique(labels)
        if len(present) != high + 1:
            missing = int(np.flatnonzero(present != np.arange(len(present)))[0])
            raise InputError(
                f"{origin}: class {missing} of 0..{high} has no image; "
                "renumber the labels 0..C-1 without gaps"
            )
        if high == 0:
            raise InputError(f"{origin}: all images have label 0; at least 2 classes are needed")
    return torch.from_numpy(labels.astype(np.int64))


def stratified_holdout(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return sorted row indices (train, test), ``fraction`` of every class held out.

    A class of two or more images has at least one in each part; a single image stays in train.

    Raises:
        InputError: ``fraction`` is not in (0, 1) or ``seed`` is negative.
    """
    if not 0 < fraction < 1:
        raise InputError(f"dataset.holdout={fraction} is not between 0 and 1; try 0.2")
    if seed < 0:
        raise InputError(f"dataset.holdout_seed={seed} is negative; use 0 or more")
    rng = np.random.default_rng(seed)
    test: list[np.ndarray] = []
    for label in range(int(labels.max()) + 1):
        rows = rng.permutation(np.flatnonzero(labels.numpy() == label))
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        test.append(rows[: max(count, 0)])
    held_out = np.sort(np.concatenate(test))
    rest = np.setdiff1d(np.arange(len(labels)), held_out)
    return torch.from_numpy(rest), torch.from_numpy(held_out)


def holdout_parts(part: Part, fraction: float, seed: int) -> tuple[Part, Part]:
    """Split a part into (train, test) by :func:`stratified_holdout`."""
    origin, labels, read = part
    train, test = (
        (origin, labels[rows], partial(_read_subset, read, rows))
        for rows in stratified_holdout(labels, fraction, seed)
    )
    return train, test


def _read_subset(read: Reader, rows: Tensor, indices: Tensor) -> Tensor:
    return read(rows[indices])


def read_array(view: np.ndarray, indices: Tensor) -> Tensor:
    """Return rows of a (n, C, H, W) array as uint8 or float32; copies only these rows."""
    rows = view[indices.numpy()]
    return torch.from_numpy(
        np.ascontiguousarray(rows, dtype=np.uint8 if view.dtype == np.uint8 else np.float32)
    )


def channel_statistics(
    train: Part, limit: int = STATISTICS_IMAGES
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return per-channel (mean, std) of at most ``limit`` evenly spaced images.

    Of uint8 / 255 or of unscaled floats, summed in float64; a constant channel gets std 1.

    Raises:
        InputError: one of these images holds NaN or infinite pixels, or cannot be read.
    """
    origin, labels, read = train
    count = min(limit, len(labels))
    rows = torch.arange(count) * (len(labels) - 1) // max(count - 1, 1)
    channels = read(rows[:1]).shape[1]
    raw = Split(origin, labels, read, (0.0,) * channels, (1.0,) * channels)
    total = torch.zeros(2, channels, dtype=torch.float64)
    pixels = 0
    for chunk in rows.split(_CHUNK):
        values = raw.images(chunk).double().transpose(0, 1).flatten(1)
        total += torch.stack([values.sum(1), values.square().sum(1)])
        pixels += values.shape[1]
    mean = total[0] / pixels
    std = (total[1] / pixels - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std > 1e-6 * (1 + mean.abs()), std, torch.ones_like(std))
    return tuple(mean.tolist()), tuple(std.tolist())


def image_data(
    name: str,
    class_names: Sequence[str],
    train: Part,
    test: Part,
    statistics: tuple[tuple[float, ...], tuple[float, ...]],
) -> ImageData:
    """Return the data set with these parts, normalized by ``statistics`` (mean, std)."""
    mean, std = statistics
    channels, height, width = train[2](torch.zeros(1, dtype=torch.int64)).shape[1:]
    return ImageData(
        name=name,
        class_names=tuple(class_names),
        input_shape=(channels, height, width),
        mean=mean,
        std=std,
        train=Split(*train, mean, std),
        test=Split(*test, mean, std),
    )
