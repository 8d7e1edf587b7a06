"""Batch-norm statistics measured anew for the weights that are judged.

The running averages of a training lag behind its weights: by dozens of steps as torch updates them,
and by more where weights are averaged too. After a few dozen steps such statistics belong to other
weights, and the network guesses; measured anew they are those of the weights at hand (Wu and
Johnson 2021, arXiv 2105.07576, "precise batch-norm"; Izmailov et al. 2018 for averaged weights).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_search.training.augment import augment
from nas_search.training.evaluate import autocast, memory_format
from nas_search.training.images import Images
from nas_search.training.optimizer import frozen_layers
from nas_search.training.recipe import Augmentation, Recipe

MAX_IMAGES = 1024
"""Training images that are measured; more change the statistics by less than their sampling."""


@torch.no_grad()
def measure_batch_statistics(
    network: nn.Module, images: Images, recipe: Recipe, batch: int
) -> None:
    """Replace the running batch-norm statistics of ``network`` by those of ``images``.

    Nothing else in the network acts as in training: no dropout, no drop path, no augmentation.

    Args:
        network: the network; left in eval mode.
        images: training images, of which :data:`MAX_IMAGES`, evenly spaced, are measured.
        recipe: precision, memory format, and the frozen layers, which keep their statistics.
        batch: images per forward pass, 2 or more.
    """
    kept = {module for layer in frozen_layers(network, recipe) for module in layer.modules()}
    norms = [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and module not in kept
    ]
    network.eval()
    if not norms:
        return
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    count = min(len(images), MAX_IMAGES)
    rows = torch.arange(count) * len(images) // count
    # Parts of nearly equal size, since each counts alike in the mean.
    parts = rows.tensor_split(-(-count // max(batch, 2)))
    for raw, _ in images.batches(parts):
        normalized = augment(raw, Augmentation(), (images.split.mean, images.split.std))
        with autocast(recipe, raw.device.type):
            network(memory_format(normalized, recipe))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
        norm.eval()
