"""Train finalists for real, rank them by validation accuracy, test the winner once."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_csv, write_json
from nas_search.data import ImageData, stratified_holdout
from nas_search.training import checkpoint
from nas_search.training.choice import rungs
from nas_search.training.distributed import ProcessGroup, team
from nas_search.training.finalist import (
    COLUMNS,
    Finalist,
    Renderers,
    TrainingPlan,
    best_first,
    mean,
    metrics,
    ranked,
    row,
)
from nas_search.training.fine_tune import take_weights
from nas_search.training.formats import check_formats, export
from nas_search.training.images import Images
from nas_search.training.log import TrainingLog
from nas_search.training.loop import Training, TrainingFailure, evaluate
from nas_search.training.recipe import Recipe
from nas_search.training.standalone import write_folder

SPLIT_SEED = 0
"""Which training images are kept to choose by: the same for all finalists and seeds."""


def train_finalists(
    candidates: Sequence[Finalist],
    data: ImageData,
    plan: TrainingPlan,
    directory: Path,
    console: Console,
    views: Renderers,
) -> list[Finalist]:
    """Train ``candidates``, or go on where ``directory`` stopped, and write their folders there.

    Args:
        candidates: what to train; their fields are filled in.
        data: the images; ``data.test`` is read once, for the winner.
        plan: how.
        directory: the run directory; ``finalists/`` is made in it.
        console: where progress and the table go.
        views: how the table and the learning curves are made.

    Returns:
        The candidates, best first.

    Raises:
        InputError: the request cannot be carried out as written.
        RunError: none could be trained, or the winner not tested; what could be is written.
    """
    check_formats(plan.finalists.export)
    _check(candidates, data, plan.recipe)
    with team(plan.device) as members:
        return _FinalistsRun(candidates, data, plan, directory, console, views, members).run()


class _FinalistsRun:
    """One run of :func:`confirm`."""

    def __init__(
        self,
        candidates: Sequence[Finalist],
        data: ImageData,
        plan: TrainingPlan,
        directory: Path,
        console: Console,
        views: Renderers,
        members: ProcessGroup,
    ) -> None:
        self._candidates, self._data, self._plan, self._team = candidates, data, plan, members
        self._views = views
        # Each process may have been given a directory named after its own clock.
        self._directory = Path(members.leaders(str(directory.resolve()))) / "finalists"
        self._console = console if members.leads else Console(quiet=True)
        labels, share = data.train.labels, plan.recipe.validation
        train, held = torch.arange(len(labels)), torch.arange(0)
        if share:
            train, held = stratified_holdout(labels, share, SPLIT_SEED)
        self._train = Images(data.train, train, members.device)
        self._held = Images(data.train, held, members.device)

    def run(self) -> list[Finalist]:
        plan, recipe = self._plan, self._plan.recipe
        alive = list(self._candidates)
        self._say(
            f"training {len(alive)} network{'s' * (len(alive) > 1)} by recipe {recipe.name}: "
            f"{len(self._train)} images to learn from, {len(self._held)} to choose by, "
            f"{recipe.epochs} epochs, on {self._team.device}"
        )
        for until, survivors in rungs(recipe.epochs, len(alive), plan.finalists.halving):
            for candidate in alive:
                self._train_one(candidate, until)
            alive = best_first([c for c in alive if c.status != "failed"])
            if until < recipe.epochs:
                for candidate in alive[survivors:]:
                    candidate.status = "stopped"
                    candidate.reason = f"not among the best {survivors} after {until} epochs"
                alive = alive[:survivors]
        for candidate in self._candidates:
            if candidate.status == "waiting":
                candidate.status = "trained"
        ranking = ranked(self._candidates)
        untested = ""
        if ranking[0].status == "trained":
            try:
                self._test(ranking[0])
            except InputError as error:
                ranking[0].test, untested = [], str(error)
        if self._team.leads:
            self._write(ranking)
        if untested:
            raise RunError(
                f"the winner is trained but not tested: {untested}. Nothing is trained again when "
                "the command is repeated"
            )
        return ranking

    def _train_one(self, candidate: Finalist, until: int) -> None:
        """Train all seeds of one candidate to epoch ``until``; a failure is kept as its reason."""
        candidate.validation, seconds = [], 0.0
        for seed in self._plan.finalists.seeds:
            training = self._training(candidate, seed)
            problem = ""
            folder = self._folder(candidate, seed)
            with TrainingLog(folder, self._console, self._plan, candidate.key) as watch:
                try:
                    training.run(until, lambda epoch: watch.epoch(epoch, seed))  # noqa: B023
                except (TrainingFailure, RunError, InputError) as error:
                    problem = str(error)
            problem = self._team.agree(problem)
            candidate.micro_batch = training.micro_batch
            candidate.epochs = training.done
            if problem:
                candidate.status, candidate.reason = "failed", problem
                self._say(f"{candidate.key} seed {seed} failed: {problem}")
                break
            candidate.validation.append(training.accuracy())
            seconds += training.log[-1].seconds
            if until == self._plan.recipe.epochs and self._team.leads:
                self._pack(candidate, seed, training)
        candidate.seconds = seconds
        if self._team.leads:
            self._describe(candidate)

    def _training(self, candidate: Finalist, seed: int) -> Training:
        plan = self._plan
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = candidate.architecture.build()
        if plan.pretrained is not None:
            fresh = take_weights(network, plan.pretrained.weights)
            if fresh:
                self._say(f"{candidate.key} seed {seed}: new weights for {', '.join(fresh)}")
        space = candidate.architecture.space
        folder = self._folder(candidate, seed)
        if self._team.leads:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunError(f"cannot make {folder} ({error.strerror})") from error
        return Training(
            network,
            plan.recipe,
            self._train,
            self._held,
            seed,
            folder,
            self._facts(candidate, seed),
            self._team,
            tuple(space.droppable(network)),
        )

    def _facts(self, candidate: Finalist, seed: int) -> dict[str, Any]:
        """Return what defines a training: its checkpoint is continued by no other."""
        labels = self._data.train.labels.numpy().tobytes()
        started = self._plan.pretrained
        return {
            "architecture": repr(candidate.architecture),
            "recipe": repr(self._plan.recipe),
            "seed": seed,
            "data": f"{self._data.name} {hashlib.sha256(labels).hexdigest()[:16]}",
            "weights": str(started.folder.resolve()) if started else "",
            "processes": self._team.size,
        }

    def _folder(self, candidate: Finalist, seed: int) -> Path:
        return self._directory / candidate.key / f"seed{seed}"

    def _pack(self, candidate: Finalist, seed: int, training: Training) -> None:
        """Write the folder that stands alone, with the weights of the best seed."""
        before = candidate.validation[:-1]
        if before and not training.accuracy() > max(before):  # of equal ones the first, as tested
            return
        folder = self._directory / candidate.key
        network = training.result()
        try:
            version = self._plan.versions["nas_search"]
            write_folder(
                folder, network, candidate.architecture, self._data, self._plan.recipe, version
            )
            self._views.curve([asdict(e) for e in training.log], folder / "curve.png")
        except (InputError, RunError, OSError) as error:
            self._say(f"{candidate.key}: {error}")

    def _test(self, winner: Finalist) -> None:
        """Measure the winner's networks on the test images, and write its other formats."""
        test = Images(self._data.test, torch.arange(len(self._data.test)), self._team.device)
        chosen = max(range(len(winner.validation)), key=lambda i: (winner.validation[i], -i))
        for place, seed in enumerate(self._plan.finalists.seeds):
            network = self._training(winner, seed).result()
            winner.test.append(evaluate(network, test, self._plan.recipe, self._team)[1])
            if place == chosen and self._team.leads:
                for name in self._plan.finalists.export:
                    self._export(network, winner, name)

    def _export(self, network: torch.nn.Module, winner: Finalist, name: str) -> None:
        images = self._data.train.images(torch.arange(4))
        folder = self._directory / winner.key
        try:
            difference = export(network.cpu(), images, folder, name)
            self._say(
                f"{folder / f'model.{name}'}: logits within {difference:.0e} of the network's"
            )
        except (RunError, OSError) as error:
            self._say(f"{winner.key}: {error}")
        finally:
            network.to(self._team.device)

    def _describe(self, candidate: Finalist) -> None:
        """Write a candidate's ``metrics.json``."""
        facts = metrics(candidate, self._plan, self._team.device)
        folder = self._directory / candidate.key
        checkpoint.on_disk(lambda: write_json(folder / "metrics.json", facts))

    def _write(self, ranking: Sequence[Finalist]) -> None:
        for candidate in ranking:
            self._describe(candidate)
        rows = [row(place, candidate) for place, candidate in enumerate(ranking, 1)]
        checkpoint.on_disk(lambda: write_csv(self._directory / "finalists.csv", COLUMNS, rows))
        self._console.print(self._views.table(COLUMNS, rows))
        if all(c.status == "failed" for c in ranking):
            raise RunError(f"no network could be trained: {ranking[0].reason}")
        winner = ranking[0]
        if winner.test:
            spread = f" +- {statistics.stdev(winner.test):.2f}" if len(winner.test) > 1 else ""
            self._say(
                f"number 1, {winner.key}: test accuracy {mean(winner.test):.2f}{spread} %; "
                f"model and weights in {self._directory / winner.key}"
            )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _check(candidates: Sequence[Finalist], data: ImageData, recipe: Recipe) -> None:
    """Refuse before the first epoch what cannot work."""
    if not candidates:
        raise InputError("there is no architecture to train; give architecture=... or run=...")
    if len(candidates) > 1 and not recipe.validation:
        raise InputError(
            "recipe.validation=0 leaves nothing to choose among finalists by; set "
            "recipe.validation=0.1 or train one architecture"
        )
    keys = [c.key for c in candidates]
    for candidate in candidates:
        candidate.architecture.cost()
        if keys.count(candidate.key) > 1:
            raise InputError(
                f"{candidate.architecture.genotype} is given twice (or another writing of it)"
            )
    if recipe.augmentation.crop >= min(data.input_shape[1:]):
        raise InputError(
            f"recipe.augmentation.crop={recipe.augmentation.crop} moves images of "
            f"{data.input_shape[1]}x{data.input_shape[2]} out of sight; lower it"
        )
