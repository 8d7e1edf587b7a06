"""Judge a network on labeled images: loss, accuracy, and accuracy by class."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_search.training.augment import augment
from nas_search.training.distributed import ProcessGroup
from nas_search.training.images import Images
from nas_search.training.recipe import Augmentation, Recipe

_PLAIN = Augmentation()


@dataclass(frozen=True)
class Judgement:
    """How well a network classifies some images; NaN for no images.

    Attributes:
        loss: mean cross-entropy.
        accuracy: share of images classified right, %.
        balanced_accuracy: mean over the classes that occur of the share classified right, %.
        confusion: number of images of each true class (rows) that got each answer (columns).
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    confusion: list[list[int]] = field(default_factory=list, compare=False, repr=False)


NOT_JUDGED = Judgement(math.nan, math.nan, math.nan)


@torch.no_grad()
def evaluate(network: nn.Module, images: Images, recipe: Recipe, group: ProcessGroup) -> Judgement:
    """Judge ``network`` in eval mode; all processes of ``group`` get the same values."""
    if not len(images):
        return NOT_JUDGED
    network.eval()
    loss = torch.zeros(1, dtype=torch.float64, device=group.device)
    confusion: Tensor | None = None
    parts = torch.arange(len(images)).split(recipe.batch_size)
    for raw, labels in images.batches([group.share_of(part) for part in parts]):
        normalized = augment(raw, _PLAIN, (images.split.mean, images.split.std))
        with autocast(recipe, raw.device.type):
            logits = network(memory_format(normalized, recipe)).float()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
        if confusion is None:
            confusion = torch.zeros(logits.shape[1] ** 2, dtype=torch.float64, device=group.device)
        pairs = labels * logits.shape[1] + logits.argmax(1)
        confusion += torch.bincount(pairs, minlength=len(confusion))
    assert confusion is not None  # a process without images still has one, empty batch
    sums = group.total(torch.cat([loss, confusion]))
    loss_sum, confusion = sums[0], sums[1:].view(math.isqrt(len(confusion)), -1)
    right, count = confusion.diagonal(), confusion.sum(dim=1)
    occurs = count > 0
    return Judgement(
        float(loss_sum / count.sum()),
        float(100 * right.sum() / count.sum()),
        float(100 * (right[occurs] / count[occurs]).mean()),
        confusion.long().tolist(),
    )


def autocast(recipe: Recipe, device_type: str) -> torch.autocast:
    """Return the autocast context of the recipe's precision."""
    return torch.autocast(device_type, torch.bfloat16, enabled=recipe.precision == "bf16")


def memory_format(images: Tensor, recipe: Recipe) -> Tensor:
    """Return ``images`` in the recipe's memory format."""
    if recipe.channels_last:
        return images.contiguous(memory_format=torch.channels_last)
    return images
