"""Where evaluations run: in this process, in spawned processes, on a Dask cluster.

All of them yield evaluations in the order of the genotypes, whatever order they finish in.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.scoring.dask_workers import DaskWorkers
from nas_search.scoring.executor import Executor
from nas_search.scoring.inline_workers import InlineWorkers
from nas_search.scoring.process_workers import ProcessWorkers


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


def start_workers(executor: Executor, *tasks: Any) -> Workers:
    """Return running workers for ``tasks``.

    These are scoring tasks, see :data:`nas_search.scoring.joint_scorer.Tasks`, or one
    :class:`nas_search.scoring.work.Work`.

    With a limit of seconds, ``inline`` stands for one spawned process, since only a process can be
    ended whatever it does.

    Raises:
        InputError: Dask is asked for and not installed, its scheduler does not answer or has no
            workers, or it shall keep to a limit of seconds.
    """
    executor = executor.resolved(tasks[0].device)
    limited = any(task.seconds is not None for task in tasks)
    if executor.name == "dask":
        if limited:
            raise InputError("proxy.seconds cannot end a score on a Dask cluster; leave it out")
        return DaskWorkers(tasks, executor)
    if executor.name == "inline" and not limited:
        return InlineWorkers(tasks, executor)
    if executor.name == "inline":
        executor = replace(executor, workers=1)
    return ProcessWorkers(tasks, executor)
