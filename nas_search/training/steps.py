"""How long a training is: recipes count epochs, and at least ``min_steps`` optimizer steps.

A recipe's epochs are made for tens of thousands of images. A hundred images in batches of 64 would
be two steps per epoch, forty in all: too few for any network. So with few images a training has
smaller batches and more epochs, and a learning rate lowered by the root of what its batches lost
(Hoffer et al. 2017, arXiv 1705.08741).
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from nas_search.training.recipe import Recipe

FEW_EPOCHS = 40
"""Least number of epochs of a training on few images."""
STEPS_PER_EPOCH = 64
"""Steps that an epoch of few images has, unless batches would be smaller than the next number."""
LEAST_BATCH = 16
"""Images of the smallest batch: batch-norm needs some."""
FEW_STEPS = 1000
"""A training of fewer steps has its batch statistics measured anew before it is judged."""


def cut(order: Tensor, batch_size: int, least: int) -> list[Tensor]:
    """Cut an order of images into batches, without a last one of fewer than ``least``."""
    parts = list(order.split(min(batch_size, len(order))))
    return parts if len(parts[-1]) >= least or len(parts) == 1 else parts[:-1]


def steps_per_epoch(images: int, batch_size: int, least: int = 2) -> int:
    """Return the number of batches of an epoch."""
    return len(cut(torch.arange(images), batch_size, least))


def fit_to(recipe: Recipe, images: int) -> Recipe:
    """Return ``recipe`` with at least ``recipe.min_steps`` steps on ``images`` training images.

    A recipe that has them is returned as it is, so published protocols stay what they are on the
    data that they are for. Another one gets :data:`FEW_EPOCHS` epochs or more of small batches, and
    twice ``min_steps`` or more: at most some 2,600 steps, unless its own epochs or ``min_steps``
    ask for more. Networks of eighty images need them: 400 steps left some of them untrained.
    """
    if recipe.epochs * steps_per_epoch(images, recipe.batch_size) >= recipe.min_steps:
        return recipe
    batch = min(recipe.batch_size, max(images // STEPS_PER_EPOCH, LEAST_BATCH))
    epochs = -(-2 * recipe.min_steps // steps_per_epoch(images, batch))
    epochs = max(epochs, recipe.epochs, FEW_EPOCHS)
    rate = recipe.optimizer.lr * math.sqrt(batch / recipe.batch_size)
    optimizer = dataclasses.replace(recipe.optimizer, lr=rate)
    return dataclasses.replace(recipe, batch_size=batch, epochs=epochs, optimizer=optimizer)
