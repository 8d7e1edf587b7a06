"""Judge a network on labeled images: loss, accuracy, and accuracy by class."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    """

    loss: float
    accuracy: float
    balanced_accuracy: float


NOT_JUDGED = Judgement(math.nan, math.nan, math.nan)


@torch.no_grad()
def evaluate(network: nn.Module, images: Images, recipe: Recipe, group: ProcessGroup) -> Judgement:
    """Judge ``network`` in eval mode; all processes of ``group`` get the same values."""
    if not len(images):
        return NOT_JUDGED
    network.eval()
    classes = int(images.split.labels.max()) + 1
    loss = torch.zeros(1, dtype=torch.float64, device=group.device)
    right, count = torch.zeros(2, classes, dtype=torch.float64, device=group.device)
    parts = torch.arange(len(images)).split(recipe.batch_size)
    for raw, labels in images.batches([group.share_of(part) for part in parts]):
        normalized = augment(raw, _PLAIN, (images.split.mean, images.split.std))
        with autocast(recipe, raw.device.type):
            logits = network(memory_format(normalized, recipe)).float()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
        correct = (logits.argmax(1) == labels).double()
        right += torch.zeros_like(right).index_add_(0, labels, correct)
        count += torch.zeros_like(count).index_add_(0, labels, torch.ones_like(correct))
    sums = group.total(torch.cat([loss, right, count]))
    loss_sum, right, count = sums[0], sums[1 : classes + 1], sums[classes + 1 :]
    occurs = count > 0
    return Judgement(
        float(loss_sum / count.sum()),
        float(100 * right.sum() / count.sum()),
        float(100 * (right[occurs] / count[occurs]).mean()),
    )


def autocast(recipe: Recipe, device_type: str) -> torch.autocast:
    """Return the autocast context of the recipe's precision."""
    return torch.autocast(device_type, torch.bfloat16, enabled=recipe.precision == "bf16")


def memory_format(images: Tensor, recipe: Recipe) -> Tensor:
    """Return ``images`` in the recipe's memory format."""
    if recipe.channels_last:
        return images.contiguous(memory_format=torch.channels_last)
    return images
