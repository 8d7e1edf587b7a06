"""Scoring in this process, one stack after another."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import torch

from nas_search.core.device import set_precision
from nas_search.core.evaluation import Evaluation
from nas_search.scoring.executor import Executor
from nas_search.scoring.joint_scorer import JointScorer, Tasks, is_scoring
from nas_search.scoring.memory import fitting
from nas_search.scoring.scorer import Scorer, stacks
from nas_search.scoring.work import Evaluator, Work


def evaluator_here(tasks: Tasks | tuple[Work], executor: Executor, sharing: int = 1) -> Evaluator:
    """Return what evaluates candidates in this process, on the tasks' device.

    ``sharing`` processes evaluate on that device, this one among them.
    """
    torch.set_num_threads(executor.threads)
    if not is_scoring(tasks):
        work: Any = tasks[0]
        evaluator: Evaluator = work.evaluator(executor)
        return evaluator
    set_precision(tasks[0].precision)
    there = [task.to_device() for task in tasks]
    return JointScorer(there, [Scorer(t, executor.stack or fitting(t, sharing)) for t in there])


class InlineWorkers:
    """Evaluates in this process; see :class:`nas_search.scoring.Workers`."""

    def __init__(self, tasks: Tasks | tuple[Work], executor: Executor) -> None:
        self._scorer = evaluator_here(tasks, executor)
        self._size = self._scorer.most

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop], in order."""
        for chosen in stacks(len(genotypes), self._size, start, stop):
            with _kept_alive():
                evaluations = self._scorer.evaluate(of(genotypes, chosen))
            yield from within(chosen, evaluations, start, stop)

    def close(self) -> None:
        """Nothing is held."""


def of(genotypes: Sequence[Hashable], chosen: range) -> list[Hashable]:
    """Return the ``chosen`` of the genotypes."""
    return list(genotypes[chosen.start : chosen.stop])


def within(
    chosen: range, evaluations: Sequence[Evaluation], start: int, stop: int | None
) -> Iterator[Evaluation]:
    """Yield those evaluations of the ``chosen`` that were asked for."""
    for number, evaluation in zip(chosen, evaluations, strict=True):
        if number >= start and (stop is None or number < stop):
            yield evaluation


class ProcessEnded(Exception):
    """Somebody's code asked to end the process in which it scores."""


@contextmanager
def _kept_alive() -> Iterator[None]:
    """Turn ``os._exit`` of a score into an error: with this process the whole search would end."""
    leave, here = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != here:  # a process that the score forked may end
            leave(status)
        raise ProcessEnded(f"os._exit({status}) would end the search")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave
