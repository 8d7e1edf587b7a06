"""Trainings side by side on a CPU: one process each, ahead of the one that follows.

A training of a small network keeps little more than one core busy however many threads it has. So
processes train ahead, one training each, to their checkpoints, and this process then goes through
all of them one after another as if it had trained them itself: it finds them done. What fails in a
process, or ends with it, it finds undone; it trains that from the last checkpoint and meets the
reason. So nothing else depends on these processes, and a training is the one that it is alone with
as many threads, to the last bit.
"""

from __future__ import annotations

import csv
import os
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError, RunError
from nas_search.costs import At
from nas_search.costs.activations import activations
from nas_search.data import ImageData
from nas_search.scoring.executor import MAX_WORKERS, Executor, cores
from nas_search.scoring.worker_process import WorkerProcess
from nas_search.training.distributed import ProcessGroup
from nas_search.training.finalist import Finalist, TrainingPlan
from nas_search.training.loop import Epoch, TrainingFailure
from nas_search.training.trainings import Trainings

PROCESS_BYTES = 0.5 * 2**30
"""What a process takes before it has images: torch."""

KEPT_PER_ACTIVATION = 3
"""Numbers that training keeps per output of a convolution: its own, batch-norm's, the ReLU's."""

MACS_PER_SECOND = 5e9
"""What a core does, roughly; a backward pass takes twice what a forward pass takes."""

WORTH_SECONDS = 20.0
"""Shorter trainings are not worth the seconds in which a process starts."""

MEMORY_FRACTION = 0.5
"""Share of the machine's memory for trainings side by side."""

POLL_SECONDS = 1.0
"""How often new epochs are looked for."""

Job = tuple[int, int, int]
"""Position of a finalist, position of a seed, and the epoch to train to."""


@dataclass(frozen=True)
class Division:
    """How a CPU is divided: so many processes of so many threads; None as many as torch takes."""

    processes: int
    threads: int | None


def divided(
    trainings: int,
    threads: int | None,
    available: int,
    each: float,
    memory: float,
    seconds: float,
) -> Division:
    """Return how ``available`` cores are divided among ``trainings``.

    Args:
        trainings: number of trainings, those that are done too, so that a run that is continued
            divides as before: the last digits depend on the threads.
        threads: of each training, as asked for; None leaves it to the number of processes.
        available: cores.
        each: bytes that a training takes.
        memory: bytes for all.
        seconds: what the longest training takes on a core, roughly.
    """
    most = min(trainings, available // (threads or 1), MAX_WORKERS, int(memory / each))
    if most < 2 or seconds < WORTH_SECONDS:
        return Division(1, threads)
    return Division(most, threads or available // most)


def division(
    finalists: Sequence[Finalist],
    plan: TrainingPlan,
    group: ProcessGroup,
    images: int,
    epochs: int,
) -> Division:
    """Return how the machine is divided among trainings of ``epochs`` on so many ``images``."""
    threads = plan.finalists.threads
    if group.device != "cpu" or group.size > 1 or not hasattr(os, "sysconf"):
        return Division(1, threads)
    try:
        each = max(map(_bytes_of, finalists)) * plan.recipe.batch_size + PROCESS_BYTES
        memory = MEMORY_FRACTION * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except Exception:  # a space whose parts cannot be counted, a system without these numbers
        return Division(1, threads)
    macs = max(one.architecture.cost().macs for one in finalists)
    seconds = 3 * macs * images * epochs / MACS_PER_SECOND
    count = len(finalists) * len(plan.finalists.seeds)
    return divided(count, threads, cores(), each, memory, seconds)


def _bytes_of(finalist: Finalist) -> float:
    """Return the bytes that training keeps for one image."""
    one = finalist.architecture
    at = At(one.input_shape, one.num_classes, one.macro)
    return 4 * KEPT_PER_ACTIVATION * activations(one.space, one.space.parse(one.genotype), at)


@dataclass(frozen=True)
class Ahead:
    """What a process that trains must know; it is sent pickled.

    Attributes:
        finalists: all that positions of jobs are of.
        spaces: their search spaces: unpickling one imports the module that registers it.
        data: the images.
        plan: how is trained, with the recipe as it was given.
        directory: the folder of the finalists' folders.
    """

    finalists: Sequence[Finalist]
    spaces: tuple[Any, ...]
    data: ImageData
    plan: TrainingPlan
    directory: Path

    def evaluator(self, executor: Executor) -> AheadTrainer:
        """Return what trains in this process."""
        return AheadTrainer(self)


class AheadTrainer:
    """Trains jobs one after another; reads the images once."""

    most = 1

    def __init__(self, work: Ahead) -> None:
        self._work = work
        alone = ProcessGroup(0, 1, "cpu")
        self._trainings = Trainings(work.data, work.plan, work.directory, alone, lambda _: None)

    def evaluate(self, jobs: Sequence[Job]) -> list[Any]:
        """Train each job as far as it can be; what is left of it is its checkpoint."""
        for finalist, seed, until in jobs:
            with suppress(TrainingFailure, RunError, InputError):
                training = self._trainings.start(self._work.finalists[finalist], seed)
                training.run(until, lambda _: None)
        return []


def train_ahead(work: Ahead, jobs: Sequence[Job], how: Division, watch: Callable[[], None]) -> None:
    """Train ``jobs`` in processes, as far as they can be.

    Args:
        work: what is trained.
        jobs: in the order in which they begin.
        how: number of processes, and threads of each.
        watch: called every second or so.
    """
    try:
        pickled = pickle.dumps((work,))
    except Exception:  # somebody's space or data set cannot be sent: it is trained here
        return
    executor = Executor("processes", threads=how.threads or 1)
    waiting, running = deque(jobs), list[WorkerProcess]()
    try:
        for _ in range(min(how.processes, len(jobs))):
            running.append(WorkerProcess(pickled, executor))
        while running:
            sources = {one: process for process in running for one in _sources(process)}
            spoke = [sources[one] for one in wait(list(sources), POLL_SECONDS)]
            watch()
            for process in dict.fromkeys(spoke):
                kind, _ = process.receive()
                if kind in ("ready", "done") and waiting:
                    process.send([waiting.popleft()])
                elif kind != "begun":  # nothing is left to do, or it has failed or died
                    running.remove(process)
                    process.end()
                    if not process.ready:  # so would the next
                        return
                    if waiting and kind not in ("ready", "done"):
                        running.append(WorkerProcess(pickled, executor))
    finally:
        for process in running:
            process.end()


def _sources(process: WorkerProcess) -> tuple[Any, ...]:
    """Return what to wait for: a message, or the end of the process."""
    return process.connection, process.sentinel


def epochs_in(log: Path) -> list[Epoch]:
    """Return the epochs in a training's ``log.csv``; none if it is not there yet or is damaged."""
    try:
        with log.open(newline="") as file:
            rows = [
                {name: float(value or "nan") for name, value in row.items()}
                for row in csv.DictReader(file)
            ]
        return [Epoch(**{**row, "epoch": int(row["epoch"])}) for row in rows]  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, KeyError):
        return []
