"""The probe batch: the class-balanced images on which every candidate of a run is measured."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.base import ImageData

_STREAM = 0x9B0BE  # makes the batch independent of other draws from the same seed


def probe_batch(
    data: ImageData, n: int, classes: int | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return ``n`` class-balanced training images and their labels, fixed by ``seed``.

    Class counts differ by at most one. ``seed`` alone, never a global generator, decides which
    classes have the extra image, which images are drawn (without replacement) and their order.
    ``classes=None`` draws from all classes; if ``n`` is smaller than their number, ``n`` classes
    have one image each.

    Args:
        data: the data set; only ``data.train`` is read, and only the drawn images.
        n: number of images, 1 or more.
        classes: number of classes to draw from, chosen by ``seed``; labels keep their values.
        seed: 0 or more.

    Returns:
        images (n, C, H, W) float32, normalized; labels (n,) int64.

    Raises:
        InputError: more images or classes are requested than exist, fewer images than ``classes``,
            a class has too few images, a negative seed, or broken pixels.
    """
    counts = torch.bincount(data.train.labels, minlength=data.num_classes).numpy()
    _check(data, n, classes, seed)
    rng = np.random.default_rng([_STREAM, seed])
    present = rng.permutation(data.num_classes)[: classes or data.num_classes]
    base, extra = divmod(n, len(present))

    # A class of exactly `base` images cannot have the extra one.
    spare = [c for c in present if counts[c] > base]
    short = [c for c in present if counts[c] < base] or [c for c in present if counts[c] == base]
    if len(spare) < extra or counts[present].min() < base:
        poorest = min(short, key=lambda c: counts[c])
        needed = base + (counts[poorest] >= base)
        raise InputError(
            f"class '{data.class_names[poorest]}' has {counts[poorest]} training images, "
            f"the probe batch of {n} over {len(present)} classes needs {needed} of it; "
            "ask for a smaller batch or fewer classes"
        )

    taken = dict.fromkeys(present.tolist(), base)
    for c in spare[:extra]:
        taken[int(c)] += 1
    labels = data.train.labels.numpy()
    drawn = [
        rng.choice(np.flatnonzero(labels == c), size=k, replace=False) for c, k in taken.items()
    ]
    rows = torch.from_numpy(rng.permutation(np.concatenate(drawn)))
    return data.train.images(rows), data.train.labels[rows]


def _check(data: ImageData, n: int, classes: int | None, seed: int) -> None:
    """Raise InputError for a request that the data set is too small for."""
    if n < 1:
        raise InputError(f"a probe batch of {n} images is requested; ask for 1 or more")
    if seed < 0:
        raise InputError(f"seed={seed} is negative; use 0 or more")
    if n > len(data.train):
        raise InputError(
            f"a probe batch of {n} images is requested, but dataset '{data.name}' has only "
            f"{len(data.train)} training images; ask for fewer"
        )
    if classes is None:
        return
    if not 1 <= classes <= data.num_classes:
        raise InputError(
            f"{classes} classes are requested, but dataset '{data.name}' has {data.num_classes}; "
            f"ask for 1 to {data.num_classes}"
        )
    if n < classes:
        raise InputError(
            f"a probe batch of {n} images cannot hold {classes} classes; "
            f"ask for {classes} images or more, or for fewer classes"
        )
