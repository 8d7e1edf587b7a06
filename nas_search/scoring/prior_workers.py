"""``proxy=prior`` and ``proxy=gradalign_prior``: what trained networks have taught as the score."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.priors import PRIOR, SCORE_AND_PRIOR, Prior, combined
from nas_search.scoring.task import ScoringTask
from nas_search.scoring.workers import Workers


class PriorWorkers:
    """Evaluates genotypes by a prior alone; see :class:`nas_search.scoring.Workers`.

    No network is built: sizes and constraints are those of the task's networks.
    """

    def __init__(self, task: ScoringTask, prior: Prior) -> None:
        self._task = task
        self._prior = prior

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop]."""
        began = perf_counter()
        candidates = [self._task.candidate(genotype) for genotype in genotypes[start:stop]]
        allowed = [one.genotype for one in candidates if not one.violation]
        predictions = iter(self._prior.predict(allowed)[0].tolist())
        seconds = (perf_counter() - began) / max(1, len(candidates))
        for one in candidates:
            yield Evaluation(
                genotype=str(one.genotype),
                key=one.key,
                status="rejected" if one.violation else "ok",
                scores={} if one.violation else {PRIOR: next(predictions)},
                params=one.cost.params,
                macs=one.cost.macs,
                costs=dict(one.costs),
                seconds=seconds,
                reason=one.violation,
            )

    def close(self) -> None:
        """Nothing is held."""


class ScoreAndPriorWorkers:
    """Adds the prior, alone and joined with a score, to the evaluations of other workers.

    Args:
        workers: they measure the scores of :data:`.SCORE_AND_PRIOR` that are joined.
        prior: has a reference of each of these scores.
        joined: names of the combined numbers; may be none.
    """

    def __init__(self, workers: Workers, prior: Prior, joined: Sequence[str]) -> None:
        self._workers = workers
        self._prior = prior
        self._joined = joined

    def evaluate(
        self, genotypes: Sequence[Hashable], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        """Yield the evaluations of genotypes[start:stop]; all predictions are made at once."""
        predictions, _ = self._prior.predict(genotypes[start:stop])
        evaluations = self._workers.evaluate(genotypes, start, stop)
        for evaluation, prediction in zip(evaluations, predictions.tolist(), strict=True):
            yield self._with_prior(evaluation, prediction)

    def close(self) -> None:
        """Shut the workers down."""
        self._workers.close()

    def _with_prior(self, evaluation: Evaluation, prediction: float) -> Evaluation:
        if evaluation.status == "rejected":
            return evaluation
        scores = {**evaluation.scores, PRIOR: prediction}
        for name in self._joined:
            score = SCORE_AND_PRIOR[name]
            if score in scores:
                both = combined(self._prior, np.array([prediction]), score, [scores[score]])
                scores = {name: float(both[0]), **scores}
        return replace(evaluation, scores=scores)
