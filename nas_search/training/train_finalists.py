"""Train the finalists, rank them by validation accuracy, test the winner once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import product
from pathlib import Path

import torch
from rich.console import Console

from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_csv, write_json
from nas_search.data import ImageData
from nas_search.export.formats import check_formats
from nas_search.training import checkpoint
from nas_search.training.choice import rungs
from nas_search.training.compiled import check_compile
from nas_search.training.distributed import ProcessGroup, process_group
from nas_search.training.evaluate import evaluate
from nas_search.training.finalist import (
    COLUMNS,
    Finalist,
    Renderers,
    TrainingPlan,
    metrics,
    row,
)
from nas_search.training.images import Images
from nas_search.training.locked import locked
from nas_search.training.log import TrainingLog
from nas_search.training.loop import Epoch, Training, TrainingFailure
from nas_search.training.on_device import for_device
from nas_search.training.packing import Packing
from nas_search.training.recipe import Recipe
from nas_search.training.refit import refit_epochs
from nas_search.training.remarks import (
    check_request,
    compile_remark,
    length_remark,
    refit_remark,
    scratch_remark,
    undecided_remark,
    uneven_remark,
    winner_remark,
)
from nas_search.training.side_by_side import (
    Ahead,
    Division,
    Job,
    division,
    epochs_in,
    train_ahead,
)
from nas_search.training.threads import busy_remark, processor_threads
from nas_search.training.trainings import Trainings
from nas_search.training.verdict import best_seed, by_validation, undecided


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
    plan = dataclasses.replace(plan, recipe=for_device(plan.recipe, plan.device))
    check_request(finalists, data, plan)
    if plan.recipe.compile:
        check_compile(plan.device)
    with processor_threads(plan.finalists.threads), process_group(plan.device) as group:
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
        self._trainings = Trainings(data, plan, directory, group, self._print)
        self._plan = self._trainings.plan
        self._scratch = list[float]()
        self._packing = Packing(data, self._plan, self._directory, self._print)

    def run(self) -> list[Finalist]:
        plan, recipe = self._plan, self._plan.recipe
        alive = list(self._finalists)
        train, validation = self._trainings.folds[0]
        together = division(alive, plan, self._group, len(train), recipe.epochs)
        self._print(
            f"training {len(alive)} network{'s' * (len(alive) > 1)} by recipe {recipe.name}: "
            f"{len(train)} training {self._data.kind}, {len(validation)} for validation, "
            f"{recipe.epochs} epochs, on {self._group.device}"
        )
        for remark in (
            length_remark(self._trainings.given, recipe, len(train), self._data.kind),
            uneven_remark(self._data, recipe),
            "" if together.processes > 1 else busy_remark(self._group.device),
            compile_remark(recipe),
        ):
            self._print_if(remark)
        for until, survivors in rungs(recipe.epochs, len(alive), plan.finalists.halving):
            together = division(alive, plan, self._group, len(train), until)
            with processor_threads(together.threads):
                if together.processes > 1:
                    self._train_ahead(alive, until, together)
                for finalist in alive:
                    self._train_one(finalist, until)
            alive = self._by_validation([f for f in alive if f.status != "failed"])
            if until < recipe.epochs:
                for finalist in alive[survivors:]:
                    finalist.status = "stopped"
                    finalist.reason = f"not among the best {survivors} after {until} epochs"
                alive = alive[:survivors]
        ranking = self._ranked()
        untested = ""
        if ranking[0].status == "trained":
            if self._trainings.refit is not None:
                self._train_once_more(ranking[0], self._trainings.refit)
            try:
                self._test(ranking[0])
            except InputError as error:
                ranking[0].test, ranking[0].test_balanced, untested = [], [], str(error)
        if self._group.leads:
            self._packing.check()
            self._write(ranking)
        if self._packing.lost:
            raise RunError(
                f"the networks are trained but not all is written: {self._packing.lost[0]}. Free "
                "space or mend the cause, and repeat the command: nothing is trained again"
            )
        if untested:
            raise RunError(
                f"the winner is trained but not tested: {untested}. Nothing is trained again when "
                "the command is repeated"
            )
        return ranking

    def _by_validation(self, finalists: Sequence[Finalist]) -> list[Finalist]:
        return by_validation(finalists, self._plan.recipe, self._trainings.judged)

    def _ranked(self) -> list[Finalist]:
        """Return the trained, then the stopped (most epochs first), then the failed."""
        order = {"trained": 0, "stopped": 1, "failed": 2}
        groups = [[f for f in self._finalists if f.status == status] for status in order]
        trained, stopped, failed = groups
        stopped = sorted(self._by_validation(stopped), key=lambda f: -f.epochs)
        return [*self._by_validation(trained), *stopped, *failed]

    def _train_ahead(self, finalists: Sequence[Finalist], until: int, how: Division) -> None:
        """Train ``finalists`` side by side as far as it goes; :meth:`_train_one` then follows."""
        seeds = self._plan.finalists.seeds
        logs: dict[Job, Path] = {}
        for finalist, number in product(finalists, range(len(seeds))):
            log = self._trainings.folder(finalist, seeds[number]) / "log.csv"
            if len(epochs_in(log)) < until:
                logs[self._finalists.index(finalist), number, until] = log
        if len(logs) < 2:
            return
        shown = {job: len(epochs_in(log)) for job, log in logs.items()}
        self._print(
            f"{min(how.processes, len(logs))} side by side, {how.threads} thread"
            f"{'s' * (how.threads != 1)} each (finalists.threads)"
        )
        with ExitStack() as stack:
            says = {}
            for (at, number, _), log in logs.items():
                key = self._finalists[at].key
                made = TrainingLog(log.parent, self._console, self._plan, key, self._data.kind)
                says[at, number, until] = stack.enter_context(made)

            def watch() -> None:
                for job, log in logs.items():
                    for epoch in epochs_in(log)[shown[job] :]:
                        says[job].epoch(epoch, seeds[job[1]])
                        shown[job] += 1

            given = dataclasses.replace(self._plan, recipe=self._trainings.given)
            spaces = tuple(finalist.architecture.space for finalist in finalists)
            work = Ahead(self._finalists, spaces, self._data, given, self._directory)
            train_ahead(work, list(logs), how, watch)

    def _train_one(self, finalist: Finalist, until: int) -> None:
        """Train all seeds of one finalist to epoch ``until``; record the reason of a failure."""
        finalist.validation, finalist.balanced, finalist.losses = [], [], []
        finalist.kept_epochs, seconds = [], 0.0
        for number, seed in enumerate(self._plan.finalists.seeds):
            training = self._trainings.start(finalist, number)
            folder = self._trainings.folder(finalist, seed)
            with TrainingLog(
                folder, self._console, self._plan, finalist.key, self._data.kind
            ) as log:
                problem = self._run(training, until, lambda epoch: log.epoch(epoch, seed))  # noqa: B023
            finalist.micro_batch = training.micro_batch
            finalist.epochs = training.done
            if problem:
                finalist.status, finalist.reason = "failed", problem
                self._print(f"{finalist.key} seed {seed} failed: {problem}")
                break
            kept = training.kept
            finalist.validation.append(kept.validation_accuracy)
            finalist.balanced.append(kept.validation_balanced_accuracy)
            finalist.losses.append(kept.validation_loss)
            finalist.kept_epochs.append(kept.epoch)
            seconds += training.log[-1].seconds
            if until == self._plan.recipe.epochs and self._group.leads:
                self._pack(finalist, number, training)
        finalist.seconds = seconds
        if finalist.status == "waiting" and until == self._plan.recipe.epochs:
            finalist.status = "trained"
        if self._group.leads:
            self._describe(finalist)

    def _run(self, training: Training, until: int, told: Callable[[Epoch], None]) -> str:
        """Train to epoch ``until``; return what went wrong first in any process, or nothing."""
        problem = ""
        try:
            training.run(until, told)
        except (TrainingFailure, RunError, InputError) as error:
            problem = str(error)
        return self._group.first_problem(problem)

    def _pack(
        self, finalist: Finalist, number: int, training: Training, final: Training | None = None
    ) -> None:
        """Write the standalone folder, if this seed is the best so far.

        With the curve of ``training``, which chose, and the weights of ``final`` if it is given.
        """
        if best_seed(finalist, self._plan.recipe) != number:
            return
        log = [asdict(e) for e in training.log]
        final = final or training
        self._packing.pack(
            finalist,
            final.result(),
            final.recipe,
            lambda path: self._renderers.curve(log, path),
        )

    def _train_once_more(self, winner: Finalist, recipe: Recipe) -> None:
        """Train the winner by ``recipe`` on all training images, and pack that network.

        If a seed cannot be trained, the networks that were chosen stay.
        """
        every, seeds = len(self._trainings.every), self._plan.finalists.seeds
        kind = self._data.kind
        ends = [refit_epochs(kept, self._plan.recipe, recipe) for kept in winner.kept_epochs]
        self._print(refit_remark(winner.key, every, kind, self._trainings.held_out, ends))
        trained: list[Training] = []
        for number, (seed, until) in enumerate(zip(seeds, ends, strict=True)):
            training = self._trainings.start(winner, number, "refit", recipe)
            cut = dataclasses.replace(recipe, epochs=until)
            shown = dataclasses.replace(self._plan, recipe=cut)
            folder = self._trainings.folder(winner, seed, "refit")
            with TrainingLog(
                folder, self._console, shown, f"{winner.key} on all {kind}", kind
            ) as log:
                problem = self._run(training, until, lambda epoch: log.epoch(epoch, seed))  # noqa: B023
            if problem:
                self._print(
                    f"{winner.key} seed {seed} on all {kind} failed, the chosen network "
                    f"is kept: {problem}"
                )
                return
            trained.append(training)
        winner.refit_epochs = ends
        winner.seconds += sum(training.log[-1].seconds for training in trained)
        best = best_seed(winner, self._plan.recipe)
        if self._group.leads:
            self._pack(winner, best, self._trainings.start(winner, best), trained[best])

    def _test(self, winner: Finalist) -> None:
        """Evaluate the winner's networks on the test images, and export the best one."""
        again = ("refit", self._trainings.refit) if winner.refit_epochs else ()
        test = Images(self._data.test, torch.arange(len(self._data.test)), self._group.device)
        best = best_seed(winner, self._plan.recipe)
        for number in range(len(self._plan.finalists.seeds)):
            network = self._trainings.start(winner, number, *again).result()
            if len(test):
                judgement = evaluate(network, test, self._plan.recipe, self._group)
                winner.test.append(judgement.accuracy)
                winner.test_balanced.append(judgement.balanced_accuracy)
                if number == best and self._group.leads:
                    self._write_confusion(winner, judgement.confusion)
            if number == best and self._group.leads:
                self._packing.export(winner, network.cpu())
        if self._plan.pretrained is not None and self._plan.recipe != self._trainings.given:
            self._scratch = self._train_from_scratch(winner, test)

    def _train_from_scratch(self, winner: Finalist, test: Images) -> list[float]:
        """Return what the winner's network reaches without the given weights, %; empty if nothing.

        For comparison alone, on few images: it costs as much as the training itself. On the test
        images, or on those for validation if there are none. It learns from all images if the
        network that it is compared with did.
        """
        reached = []
        everything = self._trainings.refit if winner.refit_epochs and len(test) else None
        self._print(f"{winner.key}: for comparison from scratch too")
        for number in range(len(self._plan.finalists.seeds)):
            training = self._trainings.start(winner, number, "scratch", everything)
            if self._run(training, training.recipe.epochs, lambda _: None):
                return []
            judged = test if len(test) else self._trainings.folds[number][1]
            judgement = evaluate(training.result(), judged, self._plan.recipe, self._group)
            reached.append(judgement.accuracy)
        return reached

    def _describe(self, finalist: Finalist) -> None:
        """Write ``metrics.json`` of a finalist."""
        content = metrics(finalist, self._plan, self._group.device)
        folder = self._directory / finalist.key
        checkpoint.on_disk(lambda: write_json(folder / "metrics.json", content))

    def _write_confusion(self, winner: Finalist, counts: Sequence[Sequence[int]]) -> None:
        """Write ``confusion.csv`` of the winner: a row per true class, a column per answer."""
        names = list(self._data.class_names)
        rows = [[name, *line] for name, line in zip(names, counts, strict=True)]
        file = self._directory / winner.key / "confusion.csv"
        checkpoint.on_disk(lambda: write_csv(file, ["true class", *names], rows))

    def _write(self, ranking: Sequence[Finalist]) -> None:
        for finalist in ranking:
            self._describe(finalist)
        rows = [row(rank, finalist) for rank, finalist in enumerate(ranking, 1)]
        checkpoint.on_disk(lambda: write_csv(self._directory / "finalists.csv", COLUMNS, rows))
        self._console.print(self._renderers.table(COLUMNS, rows))
        if all(f.status == "failed" for f in ranking):
            raise RunError(f"no network could be trained: {ranking[0].reason}")
        trained = [f for f in ranking if f.status == "trained"]
        ahead = undecided(trained, self._plan.recipe, self._trainings.judged)
        self._print_if(undecided_remark(ahead, self._plan, self._trainings.judged, self._data.kind))
        self._print(winner_remark(ranking[0], self._data, self._plan, self._directory))
        self._print_if(scratch_remark(ranking[0], self._scratch))

    def _print_if(self, text: str) -> None:
        if text:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
