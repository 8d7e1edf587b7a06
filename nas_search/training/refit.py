"""The last training: the chosen network learns from all training images, held-out ones too.

Of twenty images per class two are held out to choose by, a tenth of all that there is to learn
from. Once they have chosen, they are worth more as training images. With many images a tenth more
changes little, and protocols say what they hold out, so by default nothing is trained again there.
"""

from __future__ import annotations

import dataclasses

from nas_search.training.recipe import Recipe
from nas_search.training.steps import steps_per_epoch


def wants_refit(asked: bool | None, given: Recipe, recipe: Recipe, held_out: int) -> bool:
    """Return whether the winner is trained once more on all training images.

    Args:
        asked: ``finalists.refit``; None leaves it to the number of images.
        given: the recipe as written.
        recipe: the one that is trained by, which differs where images are few.
        held_out: number of training images that no training of the first seed learns from.
    """
    return bool(held_out) and (recipe != given if asked is None else asked)


def refit_recipe(recipe: Recipe, learnt: int, images: int) -> Recipe:
    """Return ``recipe`` for all ``images``, with the steps that it has on ``learnt`` of them.

    Nothing is held out, so nothing chooses an epoch: :func:`refit_epochs` says where to end.
    """
    steps = recipe.epochs * steps_per_epoch(learnt, recipe.batch_size)
    epochs = -(-steps // steps_per_epoch(images, recipe.batch_size))
    return dataclasses.replace(recipe, epochs=epochs, validation=0.0, keep="last")


def refit_epochs(kept: int, recipe: Recipe, refit: Recipe) -> int:
    """Return the epoch of ``refit`` that is as far in its schedule as ``kept`` is in ``recipe``."""
    return max(round(kept * refit.epochs / recipe.epochs), 1)
