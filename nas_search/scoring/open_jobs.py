"""What is left to score, and what becomes of candidates whose process died or is late.

A process that dies says nothing of the candidate that it scored: somebody may have killed it, or
the machine was short of memory for all of them together. So whoever was being scored is scored
again in a fresh process while no other works, at most :data:`RETRIES` times, and only then counts
as failed. A stack is repeated as it is first: scored one by one, its scores may differ in their
last digits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from nas_search.core.evaluation import Evaluation
from nas_search.scoring.task import ScoringTask
from nas_search.scoring.work import Work

RETRIES = 2
"""How often a candidate whose process died is scored again."""


@dataclass(frozen=True)
class Job:
    """Candidates that are scored together, by number, and how often their process died."""

    chosen: range
    deaths: int = 0


class OpenJobs:
    """The jobs of one request.

    Args:
        task: one of those that are scored.
        genotypes: all candidates.
        jobs: which of them are scored together, in order.

    Attributes:
        finished: evaluations by number.
    """

    def __init__(
        self, task: ScoringTask | Work, genotypes: Sequence[Hashable], jobs: Iterable[range]
    ) -> None:
        self.finished: dict[int, Evaluation] = {}
        self._task, self._genotypes = task, genotypes
        self._waiting = deque(map(Job, jobs))
        self._again: deque[Job] = deque()

    def take(self, running: Sequence[Job]) -> Job | None:
        """Return the next job for an idle process, if one may start beside those that run.

        One whose process died comes first, and runs alone.
        """
        if any(job.deaths for job in running):
            return None
        if self._again:
            return None if running else self._again.popleft()
        return self._waiting.popleft() if self._waiting else None

    def genotypes(self, job: Job) -> list[Hashable]:
        """Return the candidates of a job."""
        return list(self._genotypes[job.chosen.start : job.chosen.stop])

    def done(self, job: Job, evaluations: Sequence[Evaluation]) -> None:
        """Take the result of a job."""
        self.finished.update(zip(job.chosen, evaluations, strict=True))

    def died(self, job: Job, begun: bool, how: str) -> None:
        """Put a job back whose process died.

        Args:
            job: the job.
            begun: whether it was being scored: else the death is none of its business.
            how: how the process ended.
        """
        deaths = job.deaths + begun
        if not deaths:
            self._waiting.appendleft(job)
        elif len(job.chosen) > 1 and deaths >= RETRIES:
            self._again.extend(Job(range(one, one + 1), deaths - 1) for one in job.chosen)
        elif deaths <= RETRIES:
            self._again.append(Job(job.chosen, deaths))
        else:
            self._fail(job, f"{deaths} worker processes that scored it died ({how})")

    def late(self, job: Job, seconds: float) -> None:
        """Give up a job that took longer than ``seconds`` per candidate, or split its stack."""
        if len(job.chosen) > 1:
            self._waiting.extendleft(Job(range(one, one + 1)) for one in reversed(job.chosen))
        else:
            self._fail(job, f"scoring it took longer than {seconds:g} s (proxy.seconds)")

    def _fail(self, job: Job, reason: str) -> None:
        number = job.chosen[0]
        self.finished[number] = failed(self._task, self._genotypes[number], reason)


def failed(task: ScoringTask | Work, genotype: Hashable, reason: str) -> Evaluation:
    """Return the evaluation of a genotype that could not be scored to the end."""
    cost = task.cost(genotype)
    return Evaluation(
        genotype=str(genotype),
        key=task.space.canonical(genotype),
        status="failed",
        params=cost.params,
        macs=cost.macs,
        costs=task.costs(genotype),
        reason=reason,
    )
