"""``proxy=oracle``: the table's own validation accuracy as the score; no network is built.

It is the upper bound of what any score can do for a search, and the check of the search itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from time import perf_counter

from nas_search.core.evaluation import Evaluation, Status
from nas_search.scoring import ScoringTask
from nas_search.tables.table import Table

ORACLE = "oracle"


class TableWorkers:
    """Looks evaluations up; see :class:`nas_search.scoring.Workers`.

    Sizes and constraints are those of the task's networks. A genotype whose validation accuracy is
    not in the table has failed.

    Args:
        task: whose networks these are.
        table: what is looked up in.
        score: under which name the accuracy is told.
    """

    def __init__(self, task: ScoringTask, table: Table, score: str = ORACLE) -> None:
        self._task = task
        self._table = table
        self._score = score

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop]."""
        return map(self._evaluate, genotypes[start:stop])

    def close(self) -> None:
        """Nothing is held."""

    def _evaluate(self, genotype: Hashable) -> Evaluation:
        start = perf_counter()
        cost, costs = self._task.cost(genotype), self._task.costs(genotype)
        status: Status = "ok"
        scores: dict[str, float] = {}
        reason = self._task.constraints.violation(costs)
        if reason:
            status = "rejected"
        else:
            accuracy = self._table.accuracy(genotype, self._table.validation)
            if accuracy is None:
                status = "failed"
                reason = f"the benchmark's table has no {self._table.validation} of it"
            else:
                scores = {self._score: accuracy}
        return Evaluation(
            genotype=str(genotype),
            key=self._task.space.canonical(genotype),
            status=status,
            scores=scores,
            params=cost.params,
            macs=cost.macs,
            costs=costs,
            seconds=perf_counter() - start,
            reason=reason,
        )
