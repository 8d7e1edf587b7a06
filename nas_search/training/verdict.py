"""What the measured accuracies allow to say: who is ahead, and what is chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from nas_search.training.finalist import Finalist
from nas_search.training.recipe import Recipe


def by_validation(finalists: Sequence[Finalist], recipe: Recipe, images: int) -> list[Finalist]:
    """Return ``finalists`` by validation accuracy, best first; failed ones last.

    Those whose accuracy is within chance of the best (:func:`undecided`) are ordered by validation
    loss, which changes with every image and not only with those that change sides; ties keep the
    given order.

    Args:
        finalists: what was trained.
        recipe: says which accuracy counts.
        images: number of validation images, of all seeds together.
    """
    ahead = {id(finalist) for finalist in undecided(finalists, recipe, images)}

    def key(finalist: Finalist) -> tuple[int, float, float]:
        accuracy = criterion(finalist, recipe)
        if id(finalist) in ahead:
            return 0, finalist.loss, 0.0
        return (2, 0.0, 0.0) if math.isnan(accuracy) else (1, -accuracy, finalist.loss)

    return sorted(finalists, key=key)


def undecided(finalists: Sequence[Finalist], recipe: Recipe, images: int) -> list[Finalist]:
    """Return those whose accuracy is within :func:`chance` of the best, in the given order."""
    judged = [f for f in finalists if math.isfinite(criterion(f, recipe))]
    if not judged:
        return []
    best = max(criterion(f, recipe) for f in judged)
    return [f for f in judged if criterion(f, recipe) >= best - chance(best, images)]


def chance(accuracy: float, images: int) -> float:
    """Return the standard error, %, of the difference of two accuracies near ``accuracy``.

    Both measured on ``images`` images; with one image right and one wrong added, so that 100 % of
    ten images is no certainty.
    """
    share = (accuracy / 100 * images + 1) / (images + 2)
    return 100 * math.sqrt(2 * share * (1 - share) / images)


def criterion(finalist: Finalist, recipe: Recipe) -> float:
    """Return the accuracy that ranks, %; NaN if there is none."""
    values = finalist.balanced if recipe.class_weights == "balanced" else finalist.validation
    return sum(values) / len(values) if values else math.nan


def best_seed(finalist: Finalist, recipe: Recipe) -> int:
    """Return the position of the seed with the highest accuracy, then the lowest loss."""
    values = finalist.balanced if recipe.class_weights == "balanced" else finalist.validation

    def merit(seed: int) -> tuple[float, float, int]:
        pair = (values[seed], -finalist.losses[seed])
        accuracy, loss = (-math.inf if math.isnan(value) else value for value in pair)
        return accuracy, loss, -seed

    return max(range(len(values)), key=merit)


def guessing(labels: Tensor) -> float:
    """Return the accuracy, %, of always answering the most frequent class of ``labels``."""
    return float(100 * labels.bincount().max() / len(labels))
