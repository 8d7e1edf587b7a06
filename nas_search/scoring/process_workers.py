"""Scoring in spawned processes: each holds one job at a time and is replaced when it dies."""

from __future__ import annotations

import pickle
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import wait
from time import monotonic, sleep
from typing import Any

import torch

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.scoring.executor import Executor
from nas_search.scoring.joint_scorer import Tasks, is_scoring
from nas_search.scoring.memory import MAX_CANDIDATES_PER_PASS
from nas_search.scoring.open_jobs import Job, OpenJobs
from nas_search.scoring.scorer import can_stack, stacks
from nas_search.scoring.work import Work
from nas_search.scoring.worker_process import OUTSIDE, WorkerProcess, how_it_ended, raised

GPU_CHUNK = 64
"""Candidates sent to a GPU worker per task at least; the worker may split them to fit memory."""

MOST_GPUS = 8
"""GPUs among which candidates that were asked for at once are divided; more of them share less."""

MAX_FAILED_STARTS = {"by itself": 3, "killed": 60}
"""Processes that may end while they start, one after another, before the run ends. The reason of
those that ended by themselves stays; those that somebody killed are started again after a pause."""

WARM_UP = 10.0
"""Seconds that the first job of a process may take beyond the limit: torch loads parts of itself
when they are first used."""

LONGEST_PAUSE = 5.0
"""Seconds of that pause at most."""


def handed_over(tasks: Tasks | tuple[Work], executor: Executor, count: int) -> int:
    """Return the number of candidates that one process receives at once, of ``count`` asked for.

    It does not depend on the number of processes, since last digits depend on it: a GPU takes 64,
    and more, which fill it better, where there is enough for a machine full of GPUs.
    """
    if not is_scoring(tasks) or not any(map(can_stack, tasks)):
        return 1
    if executor.stack or tasks[0].device == "cpu":
        return executor.stack or 1
    return min(max(-(-count // MOST_GPUS), GPU_CHUNK), MAX_CANDIDATES_PER_PASS)


class ProcessWorkers:
    """Scores in processes of this machine; see :class:`nas_search.scoring.Workers`.

    With a limit of seconds per candidate (:attr:`.ScoringTask.seconds`), a process that takes
    longer is ended; so is one whose answer nobody waits for any more.
    """

    def __init__(self, tasks: Tasks | tuple[Work], executor: Executor) -> None:
        workers = executor.workers or 1
        devices = [tasks[0].device] * workers
        if tasks[0].device == "cuda":
            devices = [f"cuda:{slot % torch.cuda.device_count()}" for slot in range(workers)]
        self._task = tasks[0]
        self._handed_over = partial(handed_over, tasks, executor)
        limits = [task.seconds for task in tasks if task.seconds is not None]
        self._seconds = max(limits, default=float("inf"))
        pickled = {device: _pickled(tasks, device) for device in set(devices)}
        self._slots = [
            _Slot(pickled[device], executor, devices.count(device)) for device in devices
        ]
        self._failed_starts = 0

    @property
    def pids(self) -> list[int]:
        """The processes that run."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop], in order."""
        stop = len(genotypes) if stop is None else min(stop, len(genotypes))
        chosen = stacks(len(genotypes), self._handed_over(len(genotypes)), start, stop)
        jobs = OpenJobs(self._task, genotypes, chosen)
        try:
            for number in range(start, stop):
                while number not in jobs.finished:
                    self._hand_out(jobs)
                    for slot in self._awake():
                        self._attend(slot, jobs)
                yield jobs.finished.pop(number)
        finally:
            self._end(slot for slot in self._slots if slot.job is not None)

    def close(self) -> None:
        """End the processes, also those that score."""
        self._end(self._slots)

    def _end(self, slots: Any) -> None:
        for slot in slots:
            slot.job = None
            slot.end()

    def _hand_out(self, jobs: OpenJobs) -> None:
        for slot in self._slots:
            if slot.job is None:
                job = jobs.take([other.job for other in self._slots if other.job is not None])
                if job is None:
                    return
                slot.begin(job, jobs.genotypes(job))

    def _awake(self) -> list[_Slot]:
        """Wait until a process speaks, dies or is late; return the slots of such."""
        busy = [slot for slot in self._slots if slot.job is not None]
        sources = {source: slot for slot in busy for source in slot.sources()}
        left = min(slot.deadline for slot in busy) - monotonic()
        spoke = wait(list(sources), None if left == float("inf") else max(0.0, left))
        awake = [sources[source] for source in spoke]
        return [slot for slot in busy if slot in awake or slot.deadline <= monotonic()]

    def _attend(self, slot: _Slot, jobs: OpenJobs) -> None:
        """Take the next message of a slot's process, or its death; end it if it is late."""
        job, process = slot.job, slot.process
        assert job is not None
        assert process is not None
        if slot.deadline <= monotonic() and not process.connection.poll():
            self._end([slot])
            jobs.late(job, self._seconds)
            return
        kind, content = process.receive()
        if kind == "failed":
            raise raised(content)
        if kind == "ready":
            self._failed_starts = 0
            process.send(jobs.genotypes(job))
        elif kind == "begun":
            slot.begun = True
            slot.deadline = monotonic() + self._seconds * len(job.chosen) + WARM_UP * process.cold
        elif kind == "done":
            slot.job, process.cold = None, False
            jobs.done(job, content)
        else:
            started, slot.job, code = process.ready, None, slot.end()
            jobs.died(job, slot.begun, how_it_ended(code))
            if not started:
                self._count_failed_start(code)

    def _count_failed_start(self, code: int) -> None:
        """Wait before the next start, longer each time.

        Raises:
            RunError: too many ended while they started.
        """
        self._failed_starts += 1
        by_itself = code not in OUTSIDE
        if self._failed_starts >= MAX_FAILED_STARTS["by itself" if by_itself else "killed"]:
            raise RunError(
                f"{self._failed_starts} worker processes in a row ended while they started "
                f"({how_it_ended(code)}); use fewer (executor.workers) or executor=inline"
            )
        sleep(min(LONGEST_PAUSE, 0.05 * 2**self._failed_starts))


def _pickled(tasks: Tasks | tuple[Work], device: str) -> bytes:
    try:
        return pickle.dumps(tuple(replace(task, device=device) for task in tasks))  # type: ignore[type-var]
    except Exception as error:  # a part of somebody's space or score
        raise InputError(
            f"what scores candidates cannot be sent to another process ({error}); define it at the "
            "top of a module that 'plugins' names"
        ) from error


class _Slot:
    """A place for one process, and its job."""

    def __init__(self, tasks: bytes, executor: Executor, sharing: int) -> None:
        self._arguments = tasks, executor, sharing
        self.process: WorkerProcess | None = None
        self.job: Job | None = None
        self.begun = False
        self.deadline = float("inf")

    def begin(self, job: Job, genotypes: Sequence[Hashable]) -> None:
        """Take a job; a process that starts is sent it when it is ready."""
        self.job, self.begun, self.deadline = job, False, float("inf")
        if self.process is not None and not self.process.alive:
            self.end()  # it died while it had nothing to do
        if self.process is None:
            self.process = WorkerProcess(*self._arguments)
        elif self.process.ready:
            self.process.send(genotypes)

    def sources(self) -> list[Any]:
        """Return what to wait for: a message, or the end of the process."""
        assert self.process is not None
        return [self.process.connection, self.process.sentinel]

    def end(self) -> int:
        """End the process, if there is one, and return its exit code."""
        if self.process is None:
            return 0
        code, self.process = self.process.end(), None
        return code
