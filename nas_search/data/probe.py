"""The probe batch: the class-balanced images on which every candidate of a run is measured."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.base import ImageData

_STREAM = 0x9B0BE  # makes the batch independent of other draws from the same seed
_TRIES = 200  # images of a class that are read in search of unequal ones


def probe_batch(
    data: ImageData, n: int, classes: int | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return ``n`` class-balanced training images and their labels, fixed by ``seed``.

    Class counts differ by at most one. ``seed`` alone, never a global generator, decides which
    classes have the extra image, which images are drawn (without replacement) and their order.
    ``classes=None`` draws from all classes; if ``n`` is smaller than their number, ``n`` classes
    have one image each. An image that equals another one of the batch is exchanged for an unequal
    one of its class, if there is any: scores that compare images are infinite otherwise.

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
        possible = max(int(counts[present].min()), 1) * len(present)
        raise InputError(
            f"class '{data.class_names[poorest]}' has {counts[poorest]} training images, "
            f"the probe batch of {n} over {len(present)} classes needs {needed} of it; "
            f"ask for fewer: {_ask_for(possible)}"
        )

    taken = dict.fromkeys(present.tolist(), base)
    for c in spare[:extra]:
        taken[int(c)] += 1
    labels = data.train.labels.numpy()
    drawn = [
        rng.choice(np.flatnonzero(labels == c), size=k, replace=False) for c, k in taken.items()
    ]
    rows = torch.from_numpy(rng.permutation(np.concatenate(drawn)))
    images = _without_equals(data, rows, data.train.images(rows), seed)
    return images, data.train.labels[rows]


def count_equal(images: Tensor) -> int:
    """Return how many of ``images`` (n, C, H, W) equal an earlier one."""
    return len(images) - len({image.numpy().tobytes() for image in images})


def probe_notes(images: Tensor) -> list[str]:
    """Return what should be said of a probe batch before a search: nothing, or one line."""
    equal = count_equal(images)
    if not equal:
        return []
    return [
        f"{equal} of the {len(images)} probe images {'is' if equal == 1 else 'are'} equal to "
        "another one, and no others were found in their classes; scores that compare images, such "
        "as naswot, have no finite value then: remove copies, or lower the batch size"
    ]


def _without_equals(data: ImageData, rows: Tensor, images: Tensor, seed: int) -> Tensor:
    """Exchange images that equal an earlier one for others of their class.

    ``seed`` decides by which; nothing is drawn where all are different.
    """
    seen: set[bytes] = set()
    used = set(rows.tolist())
    labels = data.train.labels
    rng = np.random.default_rng([_STREAM, seed, 1])
    spare: dict[int, list[int]] = {}
    for at, image in enumerate(images):
        key = image.numpy().tobytes()
        label = int(labels[rows[at]])
        while key in seen:
            if label not in spare:
                others = rng.permutation(torch.nonzero(labels == label).flatten().numpy()).tolist()
                spare[label] = [row for row in others if row not in used][:_TRIES]
            if not spare[label]:
                break
            other = data.train.images([spare[label].pop()])[0]
            key = other.numpy().tobytes()
            if key not in seen:
                images[at] = other
        seen.add(key)
    return images


def _ask_for(n: int) -> str:
    return f"proxy.batch_size={n} (in a ranking, batch_size={n})"


def _check(data: ImageData, n: int, classes: int | None, seed: int) -> None:
    """Raise InputError for a request that the data set is too small for."""
    if n < 1:
        raise InputError(f"a probe batch of {n} images is requested; ask for 1 or more")
    if seed < 0:
        raise InputError(f"seed={seed} is negative; use 0 or more")
    if n > len(data.train):
        raise InputError(
            f"a probe batch of {n} images is requested, but dataset '{data.name}' has only "
            f"{len(data.train)} training images; ask for fewer: {_ask_for(len(data.train))}"
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
