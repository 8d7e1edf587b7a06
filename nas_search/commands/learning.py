"""What a guided search learns from: short trainings, a prior, the experience of earlier runs."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_search.commands.fitness import ProxyConfig
from nas_search.commands.prior_choice import read_prior
from nas_search.commands.reading import read_as
from nas_search.commands.search_values import Learning
from nas_search.commands.short_trainings import short_trainings_of
from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data import ImageData, fingerprint
from nas_search.features import feature_names
from nas_search.priors import Prior
from nas_search.priors.guide import Experience, PriorGuide
from nas_search.runs import open_run
from nas_search.scoring import Executor, ScoringTask, Workers, start_workers
from nas_search.scoring.table_lookup import TableWorkers
from nas_search.search import Budget
from nas_search.search.guided import TRAINED
from nas_search.spaces import SPACES, SearchSpace
from nas_search.tables import Table, truth
from nas_search.training.recipe import Recipe
from nas_search.training.remarks import length_remark
from nas_search.training.short import TrainingTask, learned_images, schedule_of


@dataclass(frozen=True)
class LearningConfig:
    """How a guided search trains, and what it knows beforehand.

    Attributes:
        recipe: the short schedule; None where accuracies are looked up.
        table: where they are looked up; None where candidates are trained.
        prior: what is known before the first training; None for the score alone.
        experience: trainings of earlier runs.
    """

    recipe: Recipe | None
    table: Table | None
    prior: Prior | None
    experience: tuple[Experience, ...]

    def guide(self, space: SearchSpace[Any], score: str, protocol: str) -> PriorGuide:
        """Return what fits the models of a search."""
        return PriorGuide(space, score, protocol, self.prior, self.experience)

    def protocol(self, macro: dict[str, Any], data: ImageData) -> str:
        """Return a text that is equal for trainings whose accuracies can be compared."""
        if self.table is not None:
            return f"table {truth.fingerprint(self.table)}"
        assert self.recipe is not None
        told = repr((self.recipe, sorted(macro.items()), fingerprint(data)))
        return f"{self.recipe.name} {hashlib.sha256(told.encode()).hexdigest()[:16]}"

    def budget(self, budget: Budget, data: ImageData) -> Budget:
        """Return the budget of a search on ``data`` with its epochs as a number of trainings.

        Raises:
            InputError: they do not pay for a single one.
        """
        if self.recipe is None:
            return budget
        return budget.in_trainings(schedule_of(self.recipe, data).epochs)

    def remark(self, data: ImageData) -> str:
        """Return how few images change the schedule; empty if they do not."""
        if self.recipe is None:
            return ""
        images, schedule = learned_images(self.recipe, data), schedule_of(self.recipe, data)
        return length_remark(self.recipe, schedule, images, data.kind, "algorithm.recipe")

    def facts(self) -> dict[str, Any]:
        """Return what defines the learning, as JSON-serializable values."""
        recipe = None
        if self.recipe is not None:
            recipe = dataclasses.asdict(self.recipe)
            del recipe["cuda_graph"]  # changes only the speed
        return {
            "recipe": recipe,
            "prior": self.prior.digest if self.prior is not None else None,
            "experience": [one.digest for one in self.experience],
        }

    def start(self, executor: Executor, task: ScoringTask, data: ImageData, run: Path) -> Workers:
        """Return running workers that train candidates, or look them up."""
        if self.table is not None:
            return TableWorkers(task, self.table, TRAINED)
        assert self.recipe is not None
        training = TrainingTask(
            task.space, task.macro, data, self.recipe, task.seed, run / "trainings", task.device
        )
        return start_workers(executor, training)


def read_learning(
    learning: Learning, space: SearchSpace[Any], proxy: ProxyConfig, table: Table | None
) -> LearningConfig:
    """Return the typed form of what ``algorithm`` says of learning; reads priors and runs.

    Raises:
        InputError: the space has no features, the recipe holds nothing out, or a prior or run is
            none or is of something else.
    """
    feature_names(space)
    if proxy.lookup is not None:
        raise InputError(
            "proxy=oracle tells accuracies before anything is trained; choose a score, e.g. "
            "proxy=gradalign"
        )
    recipe = None
    if table is None:
        try:
            recipe = read_as(Recipe, "algorithm.recipe", learning.recipe)
        except InputError as error:
            text = str(error).replace("algorithm.recipe.", "recipe.")
            raise InputError(text.replace("recipe.", "algorithm.recipe.")) from None
        _check_recipe(recipe, space)
    experience = tuple(_read_experience(one, space, proxy) for one in learning.experience)
    prior = read_prior("algorithm.prior", learning.prior, space)
    return LearningConfig(recipe, table, prior, experience)


def check_epochs(budget: Budget, learning: LearningConfig) -> None:
    """Refuse a budget in epochs where nothing is trained.

    Raises:
        InputError: accuracies are looked up.
    """
    if budget.epochs is not None and learning.recipe is None:
        raise InputError(
            f"budget.epochs={budget.epochs}: with a table nothing is trained; set "
            "budget.trainings=N, as many as such epochs would pay for"
        )


def _check_recipe(recipe: Recipe, space: SearchSpace[Any]) -> None:
    """Refuse trainings whose accuracies could not be compared, or of sizes that do not exist."""
    if not recipe.validation:
        raise InputError(
            "algorithm.recipe.validation=0 leaves no images to compare trained candidates on; set "
            "algorithm.recipe.validation=0.25"
        )
    sizes = {item.name for item in dataclasses.fields(SPACES.get(space.name).macro)}
    for name in recipe.network or {}:
        if name not in sizes:
            raise InputError(
                f"algorithm.recipe.network.{name}: {space.name} has no such size; possible: "
                f"{', '.join(sorted(sizes))}; or set algorithm.recipe.network=null"
            )


def _read_experience(folder: str, space: SearchSpace[Any], proxy: ProxyConfig) -> Experience:
    """Return what an earlier run has trained.

    Raises:
        InputError: it is no run, or of another space or score, or it has trained nothing.
    """
    path = user_path(folder, "algorithm.experience")
    run = open_run(path)
    if run.config["search_space"]["name"] != space.name:
        raise InputError(
            f"algorithm.experience: {path} is a run of "
            f"search_space={run.config['search_space']['name']}, not of {space.name}"
        )
    if run.score != proxy.name:
        raise InputError(
            f"algorithm.experience: {path} is a run by proxy={run.score}, whose scores do not "
            f"compare with those of {proxy.name}"
        )
    made = short_trainings_of(run)
    if not made.trained:
        raise InputError(
            f"algorithm.experience: {path} has trained nothing (algorithm=guided does)"
        )
    return Experience(
        protocol=made.protocol,
        architectures=tuple(space.parse(e.genotype) for e in made.trained),
        accuracies=tuple(e.scores[TRAINED] for e in made.trained),
        scores=tuple(scores[run.score] for scores in made.scores),
    )
