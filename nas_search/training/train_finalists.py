"""Train the finalists, rank them by validation accuracy, test the winner once."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_csv, write_json
from nas_search.core.text import quote
from nas_search.data import ImageData, stratified_holdout
from nas_search.training import checkpoint
from nas_search.training.choice import rungs
from nas_search.training.distributed import ProcessGroup, process_group
from nas_search.training.finalist import (
    COLUMNS,
    Finalist,
    Renderers,
    TrainingPlan,
    by_accuracy,
    mean,
    metrics,
    ranked,
    row,
)
from nas_search.training.fine_tune import take_weights
from nas_search.training.formats import check_formats, export
from nas_search.training.identity import pixel_digest, training_identity
from nas_search.training.images import Images
from nas_search.training.locked import locked
from nas_search.training.log import TrainingLog
from nas_search.training.loop import Training, TrainingFailure, evaluate
from nas_search.training.recipe import Recipe
from nas_search.training.standalone import write_folder

SPLIT_SEED = 0
"""Seed of the validation split, the same for all finalists and training seeds."""


def train_finalists(
    finalists: Sequence[Finalist],
    data: ImageData,
    plan: TrainingPlan,
    directory: Path,
    console: Console,
    renderers: Renderers,
) -> list[Finalist]:
    """Train ``finalists``, or continue in ``directory``, and write their folders there.

    Args:
        finalists: architectures to train; their result fields are filled in.
        data: the images; ``data.test`` is read once, for the winner.
        plan: recipe, seeds, halving and device.
        directory: the run directory; ``finalists/`` is made in it.
        console: console for progress and the table.
        renderers: functions that make the table and the learning curves.

    Returns:
        The finalists, best first.

    Raises:
        InputError: the request is impossible.
        RunError: no finalist could be trained, or the winner could not be tested; all other
            results are written.
    """
    check_formats(plan.finalists.export)
    _check(finalists, data, plan.recipe)
    with process_group(plan.device) as group:
        # By default the directory is named after the time at which each process started.
        folder = Path(group.from_leader(str(directory.resolve()))) / "finalists"
        with locked(folder, group):
            return _FinalistsRun(finalists, data, plan, folder, console, renderers, group).run()


class _FinalistsRun:
    """One call of :func:`train_finalists`."""

    def __init__(
        self,
        finalists: Sequence[Finalist],
        data: ImageData,
        plan: TrainingPlan,
        directory: Path,
        console: Console,
        renderers: Renderers,
        group: ProcessGroup,
    ) -> None:
        self._finalists, self._data, self._plan, self._group = finalists, data, plan, group
        self._renderers = renderers
        self._directory = directory
        self._console = console if group.leads else Console(quiet=True)
        labels, share = data.train.labels, plan.recipe.validation
        train, held_out = torch.arange(len(labels)), torch.arange(0)
        if share:
            train, held_out = stratified_holdout(labels, share, SPLIT_SEED)
        self._train = Images(data.train, train, group.device)
        self._validation = Images(data.train, held_out, group.device)
        self._pixels = pixel_digest(data, self._train, self._validation)

    def run(self) -> list[Finalist]:
        plan, recipe = self._plan, self._plan.recipe
        alive = list(self._finalists)
        self._print(
            f"training {len(alive)} network{'s' * (len(alive) > 1)} by recipe {recipe.name}: "
            f"{len(self._train)} training images, {len(self._validation)} for validation, "
            f"{recipe.epochs} epochs, on {self._group.device}"
        )
        for until, survivors in rungs(recipe.epochs, len(alive), plan.finalists.halving):
            for finalist in alive:
                self._train_one(finalist, until)
            alive = by_accuracy([f for f in alive if f.status != "failed"])
            if until < recipe.epochs:
                for finalist in alive[survivors:]:
                    finalist.status = "stopped"
                    finalist.reason = f"not among the best {survivors} after {until} epochs"
                alive = alive[:survivors]
        for finalist in self._finalists:
            if finalist.status == "waiting":
                finalist.status = "trained"
        ranking = ranked(self._finalists)
        untested = ""
        if ranking[0].status == "trained":
            try:
                self._test(ranking[0])
            except InputError as error:
                ranking[0].test, untested = [], str(error)
        if self._group.leads:
            self._write(ranking)
        if untested:
            raise RunError(
                f"the winner is trained but not tested: {untested}. Nothing is trained again when "
                "the command is repeated"
            )
        return ranking

    def _train_one(self, finalist: Finalist, until: int) -> None:
        """Train all seeds of one finalist to epoch ``until``; record the reason of a failure."""
        finalist.validation, seconds = [], 0.0
        for seed in self._plan.finalists.seeds:
            training = self._training(finalist, seed)
            problem = ""
            folder = self._folder(finalist, seed)
            with TrainingLog(folder, self._console, self._plan, finalist.key) as log:
                try:
                    training.run(until, lambda epoch: log.epoch(epoch, seed))  # noqa: B023
                except (TrainingFailure, RunError, InputError) as error:
                    problem = str(error)
            problem = self._group.first_problem(problem)
            finalist.micro_batch = training.micro_batch
            finalist.epochs = training.done
            if problem:
                finalist.status, finalist.reason = "failed", problem
                self._print(f"{finalist.key} seed {seed} failed: {problem}")
                break
            finalist.validation.append(training.accuracy())
            seconds += training.log[-1].seconds
            if until == self._plan.recipe.epochs and self._group.leads:
                self._pack(finalist, seed, training)
        finalist.seconds = seconds
        if self._group.leads:
            self._describe(finalist)

    def _training(self, finalist: Finalist, seed: int) -> Training:
        plan = self._plan
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = finalist.architecture.build()
        if plan.pretrained is not None:
            fresh = take_weights(network, plan.pretrained.weights)
            if fresh:
                self._print(f"{finalist.key} seed {seed}: new weights for {', '.join(fresh)}")
        space = finalist.architecture.space
        folder = self._folder(finalist, seed)
        if self._group.leads:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunError(f"cannot make {folder} ({error.strerror})") from error
        return Training(
            network,
            plan.recipe,
            self._train,
            self._validation,
            seed,
            folder,
            self._identity(finalist, seed),
            self._group,
            tuple(space.droppable(network)),
        )

    def _identity(self, finalist: Finalist, seed: int) -> dict[str, Any]:
        """Return the settings that define a training; its checkpoint continues no other."""
        group = self._group
        return training_identity(finalist.architecture, self._plan, seed, self._pixels, group.size)

    def _folder(self, finalist: Finalist, seed: int) -> Path:
        return self._directory / finalist.key / f"seed{seed}"

    def _pack(self, finalist: Finalist, seed: int, training: Training) -> None:
        """Write the standalone folder, with the weights of the best seed."""
        before = finalist.validation[:-1]
        if before and not training.accuracy() > max(
            before
        ):  # of equal seeds the first, as in _test
            return
        folder = self._directory / finalist.key
        network = training.result()
        try:
            version = self._plan.versions["nas_search"]
            write_folder(
                folder, network, finalist.architecture, self._data, self._plan.recipe, version
            )
            self._renderers.curve([asdict(e) for e in training.log], folder / "curve.png")
        except (InputError, RunError, OSError) as error:
            self._print(f"{finalist.key}: {error}")

    def _test(self, winner: Finalist) -> None:
        """Evaluate the winner's networks on the test images, and export the best one."""
        test = Images(self._data.test, torch.arange(len(self._data.test)), self._group.device)
        best = max(range(len(winner.validation)), key=lambda i: (winner.validation[i], -i))
        for number, seed in enumerate(self._plan.finalists.seeds):
            network = self._training(winner, seed).result()
            winner.test.append(evaluate(network, test, self._plan.recipe, self._group)[1])
            if number == best and self._group.leads:
                for name in self._plan.finalists.export:
                    self._export(network, winner, name)

    def _export(self, network: torch.nn.Module, winner: Finalist, name: str) -> None:
        images = self._data.train.images(torch.arange(4))
        folder = self._directory / winner.key
        try:
            difference = export(network.cpu(), images, folder, name)
            self._print(
                f"{folder / f'model.{name}'}: logits within {difference:.0e} of the network's"
            )
        except (RunError, OSError) as error:
            self._print(f"{winner.key}: {error}")
        finally:
            network.to(self._group.device)

    def _describe(self, finalist: Finalist) -> None:
        """Write ``metrics.json`` of a finalist."""
        content = metrics(finalist, self._plan, self._group.device)
        folder = self._directory / finalist.key
        checkpoint.on_disk(lambda: write_json(folder / "metrics.json", content))

    def _write(self, ranking: Sequence[Finalist]) -> None:
        for finalist in ranking:
            self._describe(finalist)
        rows = [row(rank, finalist) for rank, finalist in enumerate(ranking, 1)]
        checkpoint.on_disk(lambda: write_csv(self._directory / "finalists.csv", COLUMNS, rows))
        self._console.print(self._renderers.table(COLUMNS, rows))
        if all(f.status == "failed" for f in ranking):
            raise RunError(f"no network could be trained: {ranking[0].reason}")
        winner = ranking[0]
        if winner.test:
            deviation = f" +- {statistics.stdev(winner.test):.2f}" if len(winner.test) > 1 else ""
            self._print(
                f"number 1, {winner.key}: test accuracy {mean(winner.test):.2f}{deviation} %; "
                f"model and weights in {self._directory / winner.key}"
            )

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _check(finalists: Sequence[Finalist], data: ImageData, recipe: Recipe) -> None:
    """Refuse impossible requests before the first epoch."""
    if not finalists:
        raise InputError("there is no architecture to train; give architecture=... or run=...")
    if len(finalists) > 1 and not recipe.validation:
        raise InputError(
            "recipe.validation=0 leaves no images to rank the finalists by; set "
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
    if recipe.augmentation.crop >= min(data.input_shape[1:]):
        raise InputError(
            f"recipe.augmentation.crop={recipe.augmentation.crop} moves images of "
            f"{data.input_shape[1]}x{data.input_shape[2]} out of sight; lower it"
        )
