"""Every training of some finalists: from which images, weights and seed, and in which folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nas_search.core.errors import RunError
from nas_search.data import ImageData
from nas_search.training.distributed import ProcessGroup
from nas_search.training.finalist import Finalist, TrainingPlan, without_weights
from nas_search.training.fine_tune import take_weights
from nas_search.training.folds import validation_rows
from nas_search.training.identity import pixel_digest, training_identity
from nas_search.training.images import Images
from nas_search.training.loop import Training
from nas_search.training.recipe import Recipe
from nas_search.training.refit import refit_recipe, wants_refit
from nas_search.training.steps import fit_to


class Trainings:
    """Begins or continues trainings by one plan on one data set.

    Args:
        data: the images.
        plan: recipe, seeds and weights to start from.
        directory: the folder of the finalists' folders.
        group: the processes that train together.
        say: prints a line.

    Attributes:
        given: the recipe as it was given; that of ``plan`` fits the number of images.
        plan: how is trained.
        every: all training images.
        folds: images to learn from and to judge by, per seed.
        held_out: number of training images that no training of the first seed learns from.
        refit: the recipe of a last training on all images; None for none.
        judged: number of images that accuracies are of.

    Raises:
        InputError: an image cannot be read.
    """

    def __init__(
        self,
        data: ImageData,
        plan: TrainingPlan,
        directory: Path,
        group: ProcessGroup,
        say: Callable[[str], None],
    ) -> None:
        self._directory, self._group, self._say = directory, group, say
        labels, share = data.train.labels, plan.recipe.validation
        every = self.every = Images(data.train, torch.arange(len(labels)), group.device)
        given = data.validation  # goes before a share of the training images
        judges = None
        if given is not None:
            judges, share = Images(given, torch.arange(len(given)), group.device), 0.0
        self.folds: list[tuple[Images, Images]] = []
        for fold in range(len(plan.finalists.seeds)):
            held_out = validation_rows(labels, share, fold)
            learnt = torch.ones(len(labels), dtype=torch.bool)
            learnt[held_out] = False
            validation = every.select(held_out) if judges is None else judges
            self.folds.append((every.select(learnt.nonzero()[:, 0]), validation))
        self._pixels = pixel_digest(data, every, *([] if judges is None else [judges]))
        self.given = plan.recipe
        learns = len(self.folds[0][0])
        recipe = fit_to(plan.recipe, learns)
        self.held_out = len(labels) - learns
        self.refit: Recipe | None = None
        if wants_refit(plan.finalists.refit, plan.recipe, recipe, self.held_out):
            self.refit = refit_recipe(recipe, learns, len(labels))
        self.plan = dataclasses.replace(plan, recipe=recipe)
        judged = sum(len(validation) for _, validation in self.folds)
        self.judged = min(judged, len(labels) if judges is None else len(judges))

    def start(
        self,
        finalist: Finalist,
        number: int,
        kind: str = "seed",
        everything: Recipe | None = None,
    ) -> Training:
        """Return a training of the seed at position ``number``, continued where it was.

        Args:
            finalist: what is trained.
            number: position of the seed.
            kind: first part of its folder's name; ``scratch`` takes no given weights.
            everything: the recipe of a training on all images; None for one that holds some out.

        Raises:
            InputError: its checkpoint is damaged or another training's, or the recipe does not fit.
            RunError: the disk refuses its folder.
        """
        plan, seed = self.plan, self.plan.finalists.seeds[number]
        folder = self.folder(finalist, seed, kind)
        images, fold = self.folds[number], number
        if everything is not None:
            plan = dataclasses.replace(plan, recipe=everything)
            images, fold = (self.every, self.every.select(torch.arange(0))), -1
        if kind == "scratch":
            plan = without_weights(plan)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = finalist.architecture.build()
        if plan.pretrained is not None:
            fresh = take_weights(network, plan.pretrained.weights)
            if fresh:
                self._say(f"{finalist.key} seed {seed}: new weights for {', '.join(fresh)}")
        space = finalist.architecture.space
        if self._group.leads:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunError(f"cannot make {folder} ({error.strerror})") from error
        return Training(
            network,
            plan.recipe,
            *images,
            seed,
            folder,
            self._identity(finalist, seed, plan, fold),
            self._group,
            tuple(space.droppable(network)),
            self._say,
        )

    def folder(self, finalist: Finalist, seed: int, kind: str = "seed") -> Path:
        """Return where a training keeps its checkpoint and its log."""
        return self._directory / finalist.key / f"{kind}{seed}"

    def _identity(
        self, finalist: Finalist, seed: int, plan: TrainingPlan, fold: int
    ) -> dict[str, Any]:
        """Return the settings that define a training; its checkpoint continues no other.

        ``fold`` is the number of the part that is held out, -1 if none is.
        """
        group = self._group
        own = training_identity(finalist.architecture, plan, seed, self._pixels, group.size)
        return {**own, "fold": fold}
