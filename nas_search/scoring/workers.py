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

from nas_search.errors import InputError
from nas_search.evaluation import Evaluation
from nas_search.scoring.task import ScoringTask

KINDS = ("auto", "inline", "processes", "dask")

MOST_WORKERS = 8
"""Processes that ``auto`` starts at most: each holds a torch of its own, half a gigabyte."""


@dataclass(frozen=True)
class Executor:
    """Which workers evaluate candidates.

    A candidate is small work: several processes of one thread each finish sooner than one process
    of several threads, and do not stall when something else runs on the machine. Scores do not
    depend on the number of workers.

    Attributes:
        name: ``inline`` (this process), ``processes`` (spawned, one a GPU or some on the CPU),
            ``dask`` (a cluster) or ``auto``: inline for one GPU or one core, else processes.
        workers: number of processes; None means one a GPU, or one a core on the CPU.
        threads: torch threads of a worker on the CPU.
        address: scheduler of the Dask cluster; None starts a cluster on this machine.
    """

    name: str = "auto"
    workers: int | None = None
    threads: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise InputError(f"unknown executor '{self.name}'; possible: {', '.join(KINDS)}")
        for key in ("workers", "threads"):
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
            possible = _cores() if self.name == "processes" else min(_cores(), MOST_WORKERS)
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

    def evaluate(self, genotypes: Sequence[Hashable]) -> Iterator[Evaluation]:
        """Yield the evaluation of each genotype, in order, as soon as it is known."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


def start_workers(executor: Executor, task: ScoringTask) -> Workers:
    """Return running workers for ``task``.

    Raises:
        InputError: Dask is asked for and not installed, or its scheduler does not answer.
    """
    executor = executor.resolved(task.device)
    if executor.name == "inline":
        return InlineWorkers(task, executor.threads)
    if executor.name == "processes":
        return ProcessWorkers(task, executor.workers or 1, executor.threads)
    return DaskWorkers(task, executor)


class InlineWorkers:
    """Evaluates in this process, one genotype after another."""

    def __init__(self, task: ScoringTask, threads: int) -> None:
        torch.set_num_threads(threads)
        self._task = task.to_device()

    def evaluate(self, genotypes: Sequence[Hashable]) -> Iterator[Evaluation]:
        """See :class:`Workers`."""
        return (self._task.evaluate(genotype) for genotype in genotypes)

    def close(self) -> None:
        """See :class:`Workers`."""


_task: ScoringTask | None = None  # in a spawned worker: what it evaluates


def _become_worker(task: ScoringTask, threads: int) -> None:
    global _task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    _task = task.to_device()


def _end_with_parent() -> None:
    """Leave when the parent is killed: nobody else would ever tell this process to."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _evaluate(genotype: Hashable) -> Evaluation:
    assert _task is not None
    return _task.evaluate(genotype)


class ProcessWorkers:
    """One spawned process a slot, replaced when it dies.

    A process holds one genotype at a time, so it is known whose evaluation killed it: that one is
    tried once more in a fresh process and then counts as failed.
    """

    def __init__(self, task: ScoringTask, workers: int, threads: int) -> None:
        devices = [task.device] * workers
        if task.device == "cuda":
            devices = [f"cuda:{slot % torch.cuda.device_count()}" for slot in range(workers)]
        self._task = task
        self._arguments = [(replace(task, device=device), threads) for device in devices]
        self._pools = [self._start(slot) for slot in range(workers)]

    def _start(self, slot: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_become_worker, initargs=self._arguments[slot]
        )

    def evaluate(self, genotypes: Sequence[Hashable]) -> Iterator[Evaluation]:
        """See :class:`Workers`."""
        waiting = deque(range(len(genotypes)))
        idle = list(range(len(self._pools)))
        running: dict[Future[Evaluation], tuple[int, int]] = {}
        finished: dict[int, Evaluation] = {}
        deaths: Counter[int] = Counter()
        for number in range(len(genotypes)):
            while number not in finished:
                while waiting and idle:
                    index, slot = waiting.popleft(), idle.pop()
                    running[self._submit(slot, genotypes[index])] = (index, slot)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index, slot = running.pop(future)
                    idle.append(slot)
                    try:
                        finished[index] = future.result()
                    except BrokenProcessPool:
                        self._pools[slot] = self._start(slot)
                        deaths[index] += 1
                        if deaths[index] < 2:
                            waiting.appendleft(index)
                        else:
                            finished[index] = _killed(self._task, genotypes[index])
            yield finished.pop(number)

    def _submit(self, slot: int, genotype: Hashable) -> Future[Evaluation]:
        try:
            return self._pools[slot].submit(_evaluate, genotype)
        except BrokenProcessPool:  # it died while it had nothing to do
            self._pools[slot] = self._start(slot)
            return self._pools[slot].submit(_evaluate, genotype)

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

    def __init__(self, task: ScoringTask, executor: Executor) -> None:
        try:
            from distributed import Client, KilledWorker, LocalCluster
        except ImportError:
            raise InputError(
                "executor=dask needs the package 'distributed': pip install 'nas-search[dask]'"
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
        self._threads = executor.threads
        self._task = task
        self._scattered = self._client.scatter(task, broadcast=True)
        self._killed_worker = KilledWorker

    def evaluate(self, genotypes: Sequence[Hashable]) -> Iterator[Evaluation]:
        """See :class:`Workers`."""
        futures = [
            self._client.submit(
                _evaluate_remotely, self._scattered, genotype, self._threads, pure=False
            )
            for genotype in genotypes
        ]
        for genotype, future in zip(genotypes, futures, strict=True):
            try:
                yield future.result()
            except self._killed_worker:
                yield _killed(self._task, genotype)

    def close(self) -> None:
        """See :class:`Workers`."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _evaluate_remotely(task: ScoringTask, genotype: Hashable, threads: int) -> Evaluation:
    torch.set_num_threads(threads)
    return task.to_device().evaluate(genotype)
