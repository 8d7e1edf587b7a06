"""Several tasks over the same candidates: scores whose definitions differ in images or draws."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TypeGuard

from nas_search.core.evaluation import Evaluation
from nas_search.scoring.scorer import Scorer
from nas_search.scoring.task import ScoringTask
from nas_search.scoring.work import Work

Tasks = tuple[ScoringTask, ...]
"""What is scored: one task, or several of the same space, device and constraints, of which each
candidate gets one joint evaluation."""


def is_scoring(tasks: Tasks | tuple[Work]) -> TypeGuard[Tasks]:
    """Whether ``tasks`` score, rather than do other work."""
    return isinstance(tasks[0], ScoringTask)


class JointScorer:
    """Scores candidates under one task after another and joins the evaluations of each.

    Args:
        tasks: of the same space, sizes and constraints, with different scores.
        scorers: one per task.
    """

    def __init__(self, tasks: Sequence[ScoringTask], scorers: Sequence[Scorer]) -> None:
        self._tasks = tasks
        self._scorers = scorers

    @property
    def most(self) -> int:
        """The number of candidates that the largest of the tasks' passes holds."""
        return max(scorer.most for scorer in self._scorers)

    def evaluate(self, genotypes: Sequence[Hashable]) -> list[Evaluation]:
        """Return the evaluation of each genotype under all tasks together.

        Raises:
            InputError: no candidate of the tasks can be scored, e.g. the images are too small.
        """
        by_task = [scorer.evaluate(genotypes) for scorer in self._scorers]
        return [joined(self._tasks, parts) for parts in zip(*by_task, strict=True)]


def joined(tasks: Sequence[ScoringTask], parts: Sequence[Evaluation]) -> Evaluation:
    """Return one evaluation with the scores of all ``parts``, one per task, of one candidate."""
    first = parts[0]
    if len(parts) == 1 or first.status == "rejected":
        return first
    statuses = {part.status for part in parts}
    return replace(
        first,
        status=next(s for s in ("failed", "dead", "ok") if s in statuses),
        scores={name: score for part in parts for name, score in part.scores.items()},
        seconds=sum(part.seconds for part in parts),
        reason="; ".join(
            _named(task, part) for task, part in zip(tasks, parts, strict=True) if part.reason
        ),
    )


def _named(task: ScoringTask, part: Evaluation) -> str:
    """Return why scores are missing, with the name that a task of one score leaves out."""
    alone = len(task.proxies) == 1
    return f"{task.proxies[0]}: {part.reason}" if alone else part.reason
