"""Make a data set of labels and a pixel reader: checks, hold-out, channel statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.base import ImageData, Part, Parts, Split, Subset

STATISTICS_IMAGES = 4096
_CHUNK = 256

AS_STORED = "as stored"
"""The form of images that no rule changes."""


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
    origin, labels, read, files, series = part
    train, test = (
        Part(
            origin,
            labels[rows],
            Subset(read, rows),
            tuple(files[row] for row in rows.tolist()) if files else (),
            series,
        )
        for rows in stratified_holdout(labels, fraction, seed)
    )
    return train, test


def assign(
    parts: Mapping[str, Part], names: Mapping[str, str], fraction: float, seed: int
) -> tuple[Part, Part | None, Part, str]:
    """Return (train, validation, test) and in words where the last two come from.

    A validation part without a test part is what is tested on: a training holds back images to
    choose by, but none to test on. With neither, a test part is held out.

    Args:
        parts: ``train`` and, if the data brings them, ``validation`` and ``test``.
        names: what the data calls these two.
        fraction: of every class held out; as ``seed`` for :func:`stratified_holdout`.
        seed: see there.

    Raises:
        InputError: see :func:`stratified_holdout`.
    """
    train, validation, test = (parts.get(role) for role in ("train", "validation", "test"))
    assert train is not None
    if test is not None:
        words = (f"{role}: {names[role]}" for role in ("validation", "test") if role in parts)
        return train, validation, test, ", ".join(words)
    if validation is not None:
        return train, None, validation, f"test: {names['validation']}, as there is no test part"
    train, test = holdout_parts(train, fraction, seed)
    return train, None, test, held_out(fraction)


def held_out(fraction: float) -> str:
    """Return in words where a test part comes from that the data did not bring."""
    return f"test: {fraction:.0%} of each class held out"


def read_array(view: np.ndarray, indices: Tensor) -> Tensor:
    """Return rows of a (n, C, H, W) array as uint8 or float32; copies only these rows."""
    rows = view[indices.numpy()]
    return torch.from_numpy(single_precision(rows))


def single_precision(stored: np.ndarray) -> np.ndarray:
    """Return uint8 as it is and other numbers as float32, in a row; too large ones are infinite."""
    kind = np.uint8 if stored.dtype == np.uint8 else np.float32
    with np.errstate(over="ignore"):  # which is said where they are used, see Split.raw
        return np.ascontiguousarray(stored, dtype=kind)


def channel_statistics(
    train: Part, limit: int = STATISTICS_IMAGES
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return per-channel (mean, std) of at most ``limit`` evenly spaced images.

    Of uint8 / 255 or of unscaled floats, summed in float64; a constant channel gets std 1.

    Raises:
        InputError: one of these images holds no finite numbers, or cannot be read; or each of them
            is of one color throughout.
    """
    rows = spaced_rows(len(train.labels), limit)
    raw = unscaled(train)
    sums: list[Tensor] = []
    pixels, constant = 0, True
    for chunk in rows.split(_CHUNK):
        images = raw.images(chunk).double()
        constant = constant and bool(is_constant(images).all())
        values = images.transpose(0, 1).flatten(1)
        sums.append(torch.stack([values.sum(1), values.square().sum(1)]))
        pixels += values.shape[1]
    if constant:
        where = f"{train.files[0]} and all others" if train.files else train.origin
        raise InputError(
            f"{where}: {all_constant(train)}, so there is nothing to learn; look at what was "
            "written there"
        )
    total = torch.stack(sums).sum(0)
    mean = total[0] / pixels
    std = (total[1] / pixels - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std > 1e-6 * (1 + mean.abs()), std, torch.ones_like(std))
    return tuple(mean.tolist()), tuple(std.tolist())


def all_constant(part: Part, which: str = "") -> str:
    """Return that each row of a part is of one value."""
    how = "constant" if part.series else "of one color throughout"
    return f"every {which}{part.one} is {how}"


def spaced_rows(count: int, limit: int) -> Tensor:
    """Return at most ``limit`` of the rows 0..count-1 as int64 (k,), evenly spaced."""
    taken = min(limit, count)
    return torch.arange(taken) * (count - 1) // max(taken - 1, 1)


def unscaled(part: Part) -> Split:
    """Return a part as a split whose images are uint8 / 255 or unscaled floats."""
    channels = part.read(torch.zeros(1, dtype=torch.int64)).shape[1]
    mean, std = (0.0,) * channels, (1.0,) * channels
    return Split(part.origin, part.labels, part.read, mean, std, part.files, part.series)


def is_constant(images: Tensor) -> Tensor:
    """Say of each image (k, C, H, W) whether every channel has one value throughout: (k,) bool."""
    flat = images.flatten(2)
    return (flat == flat[:, :, :1]).flatten(1).all(1)


def image_data(
    parts: Parts, statistics: tuple[tuple[float, ...], tuple[float, ...]] | int = STATISTICS_IMAGES
) -> ImageData:
    """Return the data set with these parts, normalized.

    Args:
        parts: what it consists of.
        statistics: (mean, std) to normalize by, or of how many training images to measure them.

    Raises:
        InputError: see :func:`channel_statistics`.
    """
    train = parts.train
    if isinstance(statistics, int):
        statistics = channel_statistics(train, statistics)
    mean, std = statistics
    channels, height, width = train.read(torch.zeros(1, dtype=torch.int64)).shape[1:]

    def split(part: Part) -> Split:
        return Split(part.origin, part.labels, part.read, mean, std, part.files, part.series)

    return ImageData(
        name=parts.name,
        class_names=parts.class_names,
        input_shape=(channels, height, width),
        mean=mean,
        std=std,
        train=split(train),
        test=split(parts.test),
        validation=None if parts.validation is None else split(parts.validation),
        used=parts.used,
        form=parts.form,
        fit=parts.fit,
        series=parts.series,
        background=parts.background,
        notes=parts.notes,
    )
