"""What the console says about a training beside its figures, and requests that are refused."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.data import ImageData
from nas_search.training.augment import check_series
from nas_search.training.finalist import Finalist, TrainingPlan, mean
from nas_search.training.folds import validation_rows
from nas_search.training.recipe import Recipe
from nas_search.training.steps import steps_per_epoch
from nas_search.training.verdict import chance, criterion, guessing

UNEVEN = 3
"""The largest class has so many times the images of the smallest: said, with what to do."""


def check_request(finalists: Sequence[Finalist], data: ImageData, plan: TrainingPlan) -> None:
    """Refuse impossible requests before the first epoch.

    Raises:
        InputError: the message says which, and what to do.
    """
    recipe = plan.recipe
    if not finalists:
        raise InputError("there is no architecture to train; give architecture=... or run=...")
    if len(finalists) > 1 and not recipe.validation and data.validation is None:
        raise InputError(
            f"recipe.validation=0 leaves no {data.kind} to rank the finalists by; set "
            "recipe.validation=0.1 or train one architecture"
        )
    keys = [f.key for f in finalists]
    for finalist in finalists:
        finalist.architecture.cost()
        if keys.count(finalist.key) > 1:
            raise InputError(
                f"{quote(finalist.architecture.genotype)} is given twice (perhaps in another "
                "notation)"
            )
    if data.series:
        check_series(recipe.augmentation)
    _, height, width = data.input_shape
    if recipe.augmentation.crop >= (width if data.series else min(height, width)):
        what = f"series of length {width}" if data.series else f"images of {height}x{width}"
        raise InputError(
            f"recipe.augmentation.crop={recipe.augmentation.crop} moves {what} out of sight; "
            "lower it"
        )
    held_out = validation_rows(data.train.labels, recipe.validation, 0)
    nothing_held_out = data.validation is None and not len(held_out)
    if recipe.validation and nothing_held_out and (len(finalists) > 1 or recipe.keep == "best"):
        raise InputError(
            f"no class has two training {data.kind}, so there is nothing to choose by: give two or "
            f"more {data.kind} of each class, or train one architecture with recipe.validation=0 "
            "recipe.keep=last"
        )


def compile_remark(recipe: Recipe) -> str:
    """Return that compiling takes time; empty if nothing is compiled."""
    if not recipe.compile:
        return ""
    return "recipe.compile: each network's first epoch takes minutes longer, while it is compiled"


def length_remark(
    given: Recipe, recipe: Recipe, images: int, kind: str, key: str = "recipe"
) -> str:
    """Return how few images, or series, changed the recipe of group ``key``; empty if none."""
    if recipe == given:
        return ""
    steps = steps_per_epoch(images, given.batch_size)
    return (
        f"{images} {kind} are few: {recipe.epochs} epochs in batches of {recipe.batch_size} at "
        f"learning rate {recipe.optimizer.lr:.3g}, not {key}.epochs={given.epochs} in batches of "
        f"{given.batch_size} at {given.optimizer.lr:.3g}, which would be {given.epochs * steps} "
        f"steps, fewer than {key}.min_steps={recipe.min_steps} ({key}.min_steps=0 keeps to what "
        "the recipe says)"
    )


def refit_remark(key: str, images: int, kind: str, held_out: int, epochs: Sequence[int]) -> str:
    """Return that the winner is trained once more, for ``epochs`` per seed, and on what."""
    length = ", ".join(map(str, dict.fromkeys(epochs)))
    return (
        f"{key} is chosen and trained once more, {length} epochs on all {images} training {kind}, "
        f"the {held_out} held out too; that network is tested and kept (finalists.refit=false "
        "keeps the one that was chosen)"
    )


def uneven_remark(data: ImageData, recipe: Recipe) -> str:
    """Return that some classes have far fewer images, and what to do; empty if they have not."""
    counts = data.train.labels.bincount(minlength=data.num_classes)
    least, most = int(counts.min()), int(counts.max())
    if most < UNEVEN * least or recipe.class_weights != "none":
        return ""
    rare, frequent = (data.class_names[int(i)] for i in (counts.argmin(), counts.argmax()))
    return (
        f"uneven classes: {least} {data.kind} of {rare}, {most} of {frequent}; "
        "recipe.class_weights=balanced weighs all classes alike"
    )


def undecided_remark(ahead: Sequence[Finalist], plan: TrainingPlan, images: int, kind: str) -> str:
    """Return that ``images`` cannot choose among those ``ahead``; empty for fewer than two."""
    if len(ahead) < 2:
        return ""
    margin = chance(max(criterion(f, plan.recipe) for f in ahead), images)
    more = (
        ""
        if len(plan.finalists.seeds) > 2
        else f"; finalists.seeds=[0,1,2] trains each three times, with other {kind} held out"
    )
    return (
        f"{images} validation {kind} do not tell {len(ahead)} of the finalists apart (accuracies "
        f"within {margin:.1f} points are chance); the lowest validation loss chose{more}"
    )


def winner_remark(winner: Finalist, data: ImageData, plan: TrainingPlan, directory: Path) -> str:
    """Return the last line: test accuracy of number 1, what it is worth, and where it lies."""
    where = f"model and weights in {directory / winner.key}"
    if not winner.test:
        return (
            f"number 1, {winner.key}: not tested, there are no test {data.kind} (a class needs "
            f"two or more {data.kind}, or a test folder); {where}"
        )
    deviation = f" +- {statistics.stdev(winner.test):.2f}" if len(winner.test) > 1 else ""
    accuracy, balanced = mean(winner.test), mean(winner.test_balanced)
    assert accuracy is not None and balanced is not None
    text = f"number 1, {winner.key}: test accuracy {accuracy:.2f}{deviation} %"
    if abs(accuracy - balanced) >= 0.005:
        text += f" (mean over classes {balanced:.2f} %)"
    if balanced <= 100 / data.num_classes or accuracy <= guessing(data.test.labels):
        text += (
            f", no better than always answering one class ({guessing(data.test.labels):.2f} %): "
            f"give more {data.kind}, or check their labels"
        )
    return f"{text}; {where}"


def scratch_remark(winner: Finalist, scratch: Sequence[float]) -> str:
    """Return whether fine-tuning was worth it; empty if it was not compared."""
    reached = mean(winner.test or winner.validation)
    compared = mean(scratch)
    if reached is None or compared is None:
        return ""
    where = "test" if winner.test else "validation"
    if reached > compared:
        return f"fine-tuning beat training from scratch: {compared:.2f} % {where} accuracy without"
    return (
        f"fine-tuning did not beat training from scratch: {reached:.2f} % {where} accuracy, from "
        f"scratch {compared:.2f} %; train without weights=..., or take those of images like yours"
    )
