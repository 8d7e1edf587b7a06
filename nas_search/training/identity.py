"""What defines a training: its checkpoint continues no other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nas_search.data import ImageData
from nas_search.runs.architecture import Architecture
from nas_search.training.finalist import TrainingPlan
from nas_search.training.images import Images

SAMPLE = 4096
"""Images whose pixels are read where a data set is too large to be kept in memory."""
_CHUNK = 512


def training_identity(
    architecture: Architecture, plan: TrainingPlan, seed: int, pixels: str, processes: int
) -> dict[str, Any]:
    """Return the settings that define a training.

    Args:
        architecture: what is trained.
        plan: recipe and weights to start from.
        seed: of the training.
        pixels: digest of the images, see :func:`pixel_digest`.
        processes: number of processes that train together.
    """
    pretrained = plan.pretrained
    return {
        "architecture": repr(architecture),
        "recipe": repr(plan.recipe),
        "seed": seed,
        "data": pixels,
        "weights": weights_digest(pretrained.weights) if pretrained else "",
        "processes": processes,
    }


def pixel_digest(data: ImageData, *parts: Images) -> str:
    """Return 16 characters that follow from all images of ``parts`` that are kept in memory.

    Of others, from :data:`SAMPLE` images. Labels and normalization count too.

    Raises:
        InputError: an image cannot be read.
    """
    statistics = [f"{value:.5g}" for value in (*data.mean, *data.std)]  # sums depend on threads
    digest = hashlib.sha256(repr((data.name, data.num_classes, statistics)).encode())
    for images in parts:
        count = len(images) if images.resident else min(SAMPLE, len(images))
        rows = torch.arange(count) * (len(images) - 1) // max(count - 1, 1)
        digest.update(len(images).to_bytes(8, "little"))
        for raw, labels in images.batches(rows.split(_CHUNK) if count else []):
            digest.update(raw.cpu().contiguous().numpy().tobytes())
            digest.update(labels.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return 16 characters that follow from names and values of ``weights``."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
