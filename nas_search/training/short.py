"""Short trainings within a search: one per candidate, side by side on the workers of the search."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.data import ImageData
from nas_search.scoring.executor import Executor
from nas_search.search.guided import TRAINED
from nas_search.spaces import Cost, SearchSpace
from nas_search.training.distributed import ProcessGroup
from nas_search.training.finalist import short_key
from nas_search.training.folds import validation_rows
from nas_search.training.images import Images
from nas_search.training.loop import Training
from nas_search.training.recipe import Recipe
from nas_search.training.steps import fit_to


@dataclass(frozen=True)
class TrainingTask:
    """What is trained and how; picklable, the same for every candidate of a run.

    It is a :class:`nas_search.scoring.work.Work`.

    Attributes:
        space: the search space.
        macro: sizes of the networks that are scored; those that are trained have the recipe's.
        data: the images.
        recipe: the short schedule, trained to its end.
        seed: of initial weights, order and augmentation: the same for all candidates.
        folder: where trainings keep their checkpoints while they run, and their logs.
        device: torch device.
    """

    space: SearchSpace[Any]
    macro: dict[str, Any]
    data: ImageData
    recipe: Recipe
    seed: int
    folder: Path
    device: str
    seconds: float | None = None

    def cost(self, genotype: Hashable) -> Cost:
        """Return the size of the network that is scored, which constraints are about."""
        shape, classes = self.data.input_shape, self.data.num_classes
        return self.space.cost(genotype, shape, classes, **self.macro)

    def costs(self, genotype: Hashable) -> dict[str, float]:
        """Return none: the evaluation of the same candidate's score keeps them."""
        return {}

    def evaluator(self, executor: Executor) -> ShortTrainer:
        """Return what trains in this process."""
        return ShortTrainer(self)


def schedule_of(recipe: Recipe, data: ImageData) -> Recipe:
    """Return the schedule of every short training on ``data``, with its true number of epochs.

    Few images ask for more epochs than the recipe says, see :func:`.fit_to`.
    """
    return fit_to(recipe, learned_images(recipe, data))


def learned_images(recipe: Recipe, data: ImageData) -> int:
    """Return how many images of ``data`` a short training learns from."""
    labels = data.train.labels
    held_out = () if data.validation is not None else validation_rows(labels, recipe.validation, 0)
    return len(labels) - len(held_out)


class ShortTrainer:
    """Trains candidates one after another; reads the images once."""

    most = 1

    def __init__(self, task: TrainingTask) -> None:
        self._task = task
        labels, given = task.data.train.labels, task.data.validation
        every = Images(task.data.train, torch.arange(len(labels)), task.device)
        if given is not None:
            self._train = every
            self._validation = Images(given, torch.arange(len(given)), task.device)
        else:
            held_out = validation_rows(labels, task.recipe.validation, 0)
            learnt = torch.ones(len(labels), dtype=torch.bool)
            learnt[held_out] = False
            self._train = every.select(learnt.nonzero()[:, 0])
            self._validation = every.select(held_out)
        self._recipe = schedule_of(task.recipe, task.data)

    def evaluate(self, genotypes: Sequence[Hashable]) -> list[Evaluation]:
        """Return the evaluation of each: its validation accuracy, or why there is none.

        Raises:
            InputError: the recipe does not fit the networks of the space.
            RunError: the disk refuses.
        """
        return [self._evaluation(genotype) for genotype in genotypes]

    def _evaluation(self, genotype: Hashable) -> Evaluation:
        start, task = perf_counter(), self._task
        key, cost = task.space.canonical(genotype), task.cost(genotype)
        accuracy, reason = math.nan, ""
        try:
            accuracy = self._accuracy(genotype)
        except (InputError, RunError):
            raise
        except Exception as error:  # a diverged training, or somebody's network
            lines = str(error).strip().splitlines()
            reason = f"its training failed: {lines[0] if lines else type(error).__name__}"
        if not reason and not math.isfinite(accuracy):
            reason = f"its training failed: the accuracy is {accuracy}"
        return Evaluation(
            genotype=str(genotype),
            key=key,
            status="failed" if reason else "ok",
            scores={} if reason else {TRAINED: accuracy},
            params=cost.params,
            macs=cost.macs,
            seconds=perf_counter() - start,
            reason=reason,
        )

    def _accuracy(self, genotype: Hashable) -> float:
        task, recipe = self._task, self._recipe
        folder = task.folder / short_key(task.space.canonical(genotype))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make {folder} ({error.strerror})") from error
        sizes = {**task.macro, **(recipe.network or {})}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            network = task.space.build(
                genotype, task.data.input_shape, task.data.num_classes, **sizes
            )
        training = Training(
            network,
            recipe,
            self._train,
            self._validation,
            task.seed,
            folder,
            {"genotype": str(genotype), "recipe": repr(recipe), "seed": task.seed},
            ProcessGroup(0, 1, task.device),
            tuple(task.space.droppable(network)),
        )
        training.run(recipe.epochs, lambda _: None)
        (folder / "checkpoint.pt").unlink(missing_ok=True)  # the log stays
        kept = training.kept
        if recipe.class_weights == "balanced":
            return kept.validation_balanced_accuracy
        return kept.validation_accuracy
