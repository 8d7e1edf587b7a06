"""Who leads a guided search at its end: everything seen, trained or not, by the last model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.search.guided import TRAINED, Guide, Known


@dataclass(frozen=True)
class Standing:
    """A candidate as a guided search leaves it.

    Attributes:
        number: of its evaluation by the score, from 1.
        evaluation: that evaluation.
        accuracy: validation accuracy of its short training, %; NaN if it was not trained.
        mean: what the last model expects of it; its score where there is no model.
        deviation: standard deviation of that; NaN where there is no model.
    """

    number: int
    evaluation: Evaluation
    accuracy: float
    mean: float
    deviation: float

    def columns(self) -> dict[str, float | None]:
        """Return what stands beside the score in a leaderboard; None where there is nothing."""
        told = {"predicted": self.mean, "uncertainty": self.deviation, TRAINED: self.accuracy}
        if math.isnan(self.deviation):  # no model: the score itself
            told["predicted"] = math.nan
        return {name: None if math.isnan(value) else value for name, value in told.items()}


def again_of(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations of candidates that were evaluated before: their trainings."""
    seen: set[str] = set()
    again = []
    for evaluation in evaluations:
        if evaluation.key in seen:
            again.append(evaluation)
        seen.add(evaluation.key)
    return again


def standings(
    guide: Guide, evaluations: Sequence[Evaluation], objective: str, parse: Any
) -> list[Standing]:
    """Return everybody that has a score and whose training did not fail, best first.

    Args:
        guide: of the search.
        evaluations: its history.
        objective: name of the fitness score.
        parse: maps texts to genotypes.
    """
    seen: dict[str, tuple[int, Evaluation, Known]] = {}
    for number, evaluation in enumerate(evaluations, 1):
        key, scores = evaluation.key, evaluation.scores
        if key not in seen:
            if evaluation.status == "ok" and objective in scores:
                genotype = parse(evaluation.genotype)
                seen[key] = (number, evaluation, Known(genotype, scores[objective]))
        elif evaluation.status == "ok" and TRAINED in scores:
            first, scored, known = seen[key]
            seen[key] = (first, scored, Known(known.genotype, known.score, scores[TRAINED]))
        else:  # its training failed
            del seen[key]
    everybody = [one for _, _, one in seen.values()]
    if not everybody:
        return []
    model = guide.fit([one for one in everybody if not math.isnan(one.accuracy)])
    if model is None:
        mean = np.array([one.score for one in everybody])
        deviation = np.full(len(everybody), math.nan)
    else:
        mean, deviation = model(everybody)
    found = [
        Standing(number, evaluation, one.accuracy, m, d)
        for (number, evaluation, one), m, d in zip(
            seen.values(), mean.tolist(), deviation.tolist(), strict=True
        )
    ]
    return sorted(found, key=lambda one: -one.mean)
