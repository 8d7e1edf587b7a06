"""Probe batches on which a score would say nothing, and what to change."""

from __future__ import annotations

from torch import Tensor


def any_batch(images: Tensor, labels: Tensor) -> str:
    """Return nothing: the score takes every probe batch."""
    return ""


def two_classes(images: Tensor, labels: Tensor) -> str:
    """Return that all images are of one class, whose samples are compared with other classes'."""
    if labels.is_floating_point() or labels.dim() != 1 or len(labels.unique()) > 1:
        return ""
    return "it compares samples of different classes, and all are of one; give two classes or more"


def two_of_a_class(images: Tensor, labels: Tensor) -> str:
    """Return that no class has two images, whose samples are compared within it."""
    if labels.is_floating_point() or labels.dim() != 1 or len(labels.unique()) < len(labels):
        return ""
    classes = len(labels)
    return (
        "it compares samples of one class, and every class has one image; take more images "
        f"(a batch size of {2 * classes} or more) or fewer classes"
    )


def two_halves(images: Tensor, labels: Tensor) -> str:
    """Return that a half of the batch is one image, which does not vary."""
    if len(images) >= 4:
        return ""
    return f"it compares two halves of the batch, and {len(images)} images have none of two images"


def multiple_of_four(images: Tensor, labels: Tensor) -> str:
    """Return that maps are halved twice and the images' sides cannot be; series are padded."""
    series = images.dim() == 4 and images.shape[2] == 1
    if images.dim() != 4 or series or all(side % 4 == 0 for side in images.shape[2:]):
        return ""
    height, width = images.shape[2:]
    return (
        f"it compares maps before and after they are halved, and {height} x {width} images cannot "
        "be halved twice; take sides that are multiples of 4 (dataset.size)"
    )
