"""Where evaluations run: in this process, in spawned processes, on a Dask cluster.

All of them yield evaluations in the order of the genotypes, whatever order they finish in.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from typing import Any, Protocol

import torch

from nas_search.core.device import set_precision
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.garbage import keep_imports
from nas_search.core.installed import how_to_install
from nas_search.scoring.joint_scorer import JointScorer
from nas_search.scoring.memory import fitting
from nas_search.scoring.scorer import Scorer, can_stack, stacks
from nas_search.scoring.task import ScoringTask

KINDS = ("auto", "inline", "processes", "dask")

MAX_WORKERS = 8
"""Processes that ``auto`` starts at most: each holds a torch of its own, half a gigabyte."""


@dataclass(frozen=True)
class Executor:
    """Which workers evaluate candidates.

    A candidate is small work: several processes of one thread each finish sooner than one process
    of several threads, and do not stall when something else runs on the machine. Scores do not
    depend on the number of workers.

    Scores do not depend on ``stack`` either, but for the last digits, see
    :mod:`nas_search.scoring.scorer`.

    Attributes:
        name: ``inline`` (this process), ``processes`` (spawned, one per GPU or some on the CPU),
            ``dask`` (a cluster) or ``auto``: inline for one GPU or one core, else processes.
        workers: number of processes; None means one per GPU, or one per core on the CPU.
        threads: torch threads of a worker on the CPU.
        address: scheduler of the Dask cluster; None starts a cluster on this machine.
        stack: upper bound on candidates per stack, fewer where memory ends; None means one
            on the CPU, whose caches larger batches overrun, and on a GPU what its memory holds.
    """

    name: str = "auto"
    workers: int | None = None
    threads: int = 1
    address: str | None = None
    stack: int | None = None

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise InputError(f"unknown executor '{self.name}'; possible: {', '.join(KINDS)}")
        for key in ("workers", "threads", "stack"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise InputError(f"executor.{key}={value} must be 1 or more")

    def resolved(self, device: str) -> Executor:
        """Return the executor with ``auto`` and the number of workers filled in for ``device``."""
        if self.name not in ("auto", "processes"):
            return self
        if device.startswith("cuda"):
            possible = torch.cuda.device_count() if device == "cuda" else 1
        else:
            possible = _cores() if self.name == "processes" else min(_cores(), MAX_WORKERS)
        workers = self.workers or possible
        name = "processes" if self.name == "processes" or workers > 1 else "inline"
        return replace(self, name=name, workers=workers)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers(Protocol):
    """Evaluates genotypes."""

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop], in order, each as soon as it is known.

        Which candidates are scored together follows from ``genotypes`` alone, see
        :func:`nas_search.scoring.scorer.stacks`.
        """
        ...

    def close(self) -> None:
        """Shut the workers down."""
        ...


Tasks = tuple[ScoringTask, ...]
"""What is scored: one task, or several of the same space, device and constraints, of which each
candidate gets one joint evaluation, see :mod:`nas_search.scoring.joint_scorer`."""


def start_workers(executor: Executor, *tasks: ScoringTask) -> Workers:
    """Return running workers for ``tasks``, see :data:`Tasks`.

    Raises:
        InputError: Dask is asked for and not installed, or its scheduler does not answer.
    """
    executor = executor.resolved(tasks[0].device)
    if executor.name == "inline":
        return InlineWorkers(tasks, executor)
    if executor.name == "processes":
        return ProcessWorkers(tasks, executor)
    return DaskWorkers(tasks, executor)


GPU_CHUNK = 64
"""Candidates sent to a GPU worker per task; the worker may still split them to fit memory."""


def _handed_over(tasks: Tasks, executor: Executor) -> int:
    """Return the number of candidates that one process receives at once."""
    if not any(map(can_stack, tasks)):
        return 1
    return executor.stack or (1 if tasks[0].device == "cpu" else GPU_CHUNK)


def _scorer(tasks: Tasks, executor: Executor) -> JointScorer:
    """Return what scores candidates in this process, on the tasks' device."""
    torch.set_num_threads(executor.threads)
    set_precision(tasks[0].precision)
    there = [task.to_device() for task in tasks]
    return JointScorer(there, [Scorer(t, executor.stack or fitting(t)) for t in there])


class InlineWorkers:
    """Evaluates in this process, one stack after another."""

    def __init__(self, tasks: Tasks, executor: Executor) -> None:
        self._scorer = _scorer(tasks, executor)
        self._size = self._scorer.most

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """See :class:`Workers`."""
        for chosen in stacks(len(genotypes), self._size, start, stop):
            yield from _within(chosen, self._scorer.evaluate(_of(genotypes, chosen)), start, stop)

    def close(self) -> None:
        """See :class:`Workers`."""


def _of(genotypes: Sequence[Hashable], chosen: range) -> list[Hashable]:
    return list(genotypes[chosen.start : chosen.stop])


def _within(
    chosen: range, evaluations: Sequence[Evaluation], start: int, stop: int | None
) -> Iterator[Evaluation]:
    """Yield those evaluations of the ``chosen`` that were asked for."""
    for number, evaluation in zip(chosen, evaluations, strict=True):
        if number >= start and (stop is None or number < stop):
            yield evaluation


_here: JointScorer | None = None  # in a spawned worker: what it evaluates with


def _become_worker(tasks: Tasks, executor: Executor) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here = _scorer(tasks, executor)
    keep_imports()


def _end_with_parent() -> None:
    """Leave when the parent is killed: nobody else would ever tell this process to."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _evaluate(genotypes: Sequence[Hashable]) -> list[Evaluation]:
    assert _here is not None
    return _here.evaluate(genotypes)


class ProcessWorkers:
    """One spawned process per slot, replaced when it dies.

    A process holds one stack at a time, so it is known whose evaluation killed it. Each of its
    candidates is then evaluated alone; one that kills a process alone is tried once more in a fresh
    process and then counts as failed.
    """

    def __init__(self, tasks: Tasks, executor: Executor) -> None:
        workers = executor.workers or 1
        devices = [tasks[0].device] * workers
        if tasks[0].device == "cuda":
            devices = [f"cuda:{slot % torch.cuda.device_count()}" for slot in range(workers)]
        self._tasks = tasks
        self._size = _handed_over(tasks, executor)
        self._arguments = [
            (tuple(replace(task, device=device) for task in tasks), executor) for device in devices
        ]
        self._pools = [self._start(slot) for slot in range(workers)]

    def _start(self, slot: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_become_worker, initargs=self._arguments[slot]
        )

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """See :class:`Workers`."""
        stop = len(genotypes) if stop is None else min(stop, len(genotypes))
        waiting = deque(stacks(len(genotypes), self._size, start, stop))
        idle = list(range(len(self._pools)))
        running: dict[Future[list[Evaluation]], tuple[range, int]] = {}
        finished: dict[int, Evaluation] = {}
        deaths: Counter[range] = Counter()
        for number in range(start, stop):
            while number not in finished:
                while waiting and idle:
                    chosen, slot = waiting.popleft(), idle.pop()
                    running[self._submit(slot, _of(genotypes, chosen))] = (chosen, slot)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    chosen, slot = running.pop(future)
                    idle.append(slot)
                    try:
                        finished.update(zip(chosen, future.result(), strict=True))
                    except BrokenProcessPool:
                        self._pools[slot] = self._start(slot)
                        deaths[chosen] += 1
                        if len(chosen) > 1:
                            waiting.extendleft(range(one, one + 1) for one in reversed(chosen))
                        elif deaths[chosen] < 2:
                            waiting.appendleft(chosen)
                        else:
                            finished[chosen[0]] = _killed(self._tasks[0], genotypes[chosen[0]])
            yield finished.pop(number)

    def _submit(self, slot: int, genotypes: list[Hashable]) -> Future[list[Evaluation]]:
        try:
            return self._pools[slot].submit(_evaluate, genotypes)
        except BrokenProcessPool:  # it died while it had nothing to do
            self._pools[slot] = self._start(slot)
            return self._pools[slot].submit(_evaluate, genotypes)

    def close(self) -> None:
        """See :class:`Workers`; waits for what is being evaluated."""
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)


def _killed(task: ScoringTask, genotype: Hashable) -> Evaluation:
    """Return the evaluation of a genotype that no worker survives."""
    cost = task.cost(genotype)
    return Evaluation(
        genotype=str(genotype),
        key=task.space.canonical(genotype),
        status="failed",
        params=cost.params,
        macs=cost.macs,
        reason="the worker processes that scored it died (out of memory?)",
    )


class DaskWorkers:
    """Evaluates on the workers of a Dask cluster, each of one thread."""

    def __init__(self, tasks: Tasks, executor: Executor) -> None:
        try:
            from distributed import Client, KilledWorker, LocalCluster
        except ImportError:
            raise InputError(
                f"executor=dask needs the package 'distributed': {how_to_install('dask')}"
            ) from None
        self._cluster: Any = None
        if executor.address is None:
            self._cluster = LocalCluster(
                n_workers=executor.workers or _cores(),
                threads_per_worker=1,
                dashboard_address=None,
            )
        try:
            self._client = Client(self._cluster or executor.address, timeout=20)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at executor.address={executor.address} ({error})"
            ) from None
        self._executor = executor
        self._size = _handed_over(tasks, executor)
        self._task = tasks[0]
        (self._scattered,) = self._client.scatter([tasks], broadcast=True)
        self._killed_worker = KilledWorker

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """See :class:`Workers`."""
        chosen = list(stacks(len(genotypes), self._size, start, stop))
        futures = [self._submit(_of(genotypes, numbers)) for numbers in chosen]
        for numbers, future in zip(chosen, futures, strict=True):
            try:
                evaluations = future.result()
            except self._killed_worker:
                evaluations = [self._alone(genotype) for genotype in _of(genotypes, numbers)]
            yield from _within(numbers, evaluations, start, stop)

    def _submit(self, genotypes: list[Hashable]) -> Any:
        return self._client.submit(
            _evaluate_remotely, self._scattered, genotypes, self._executor, pure=False
        )

    def _alone(self, genotype: Hashable) -> Evaluation:
        """Evaluate one candidate of a stack that killed its worker."""
        if self._size > 1:
            evaluation: Evaluation
            try:
                (evaluation,) = self._submit([genotype]).result()
                return evaluation
            except self._killed_worker:
                pass
        return _killed(self._task, genotype)

    def close(self) -> None:
        """See :class:`Workers`."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


_remote: tuple[Tasks, JointScorer] | None = None  # in a worker of a cluster


def _evaluate_remotely(
    tasks: Tasks, genotypes: Sequence[Hashable], executor: Executor
) -> list[Evaluation]:
    global _remote
    if _remote is None or _remote[0] is not tasks:
        _remote = tasks, _scorer(tasks, executor)
    return _remote[1].evaluate(genotypes)
