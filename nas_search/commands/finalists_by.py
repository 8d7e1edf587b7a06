"""By what the finalists of a search are the best: its fitness, the score, a prior, or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objectives
from nas_search.priors import PRIOR, SCORE_AND_PRIOR, combined, shipped_prior
from nas_search.search.guided import TRAINED
from nas_search.spaces import SearchSpace


def name_by(by: str, fitness: str, space: SearchSpace[Any]) -> str:
    """Return the name of the score that finalists are the best by.

    Args:
        by: see :class:`nas_search.training.FinalistsConfig`.
        fitness: name of the search's fitness.
        space: its search space.

    Raises:
        InputError: the search has no such score, or there is no prior of the space.
    """
    if by == "fitness":
        return fitness
    score = SCORE_AND_PRIOR.get(fitness, fitness)
    if by == "prior":
        if fitness != PRIOR and fitness not in SCORE_AND_PRIOR:
            shipped_prior(space)
        return PRIOR
    if score == PRIOR:
        raise InputError(f"finalists.by={by}: a search by proxy=prior measures no score")
    if by == "score":
        return score
    joined = next((name for name, one in SCORE_AND_PRIOR.items() if one == score), None)
    if joined is None:
        raise InputError(
            f"finalists.by=both joins a prior with {', '.join(SCORE_AND_PRIOR.values())}, not with "
            f"{score}; choose finalists.by=prior or another proxy"
        )
    if fitness not in SCORE_AND_PRIOR:
        shipped_prior(space).reference(score)
    return joined


def check_by(by: str, objectives: Objectives, space: SearchSpace[Any]) -> None:
    """Refuse what :func:`name_by` would refuse after the search.

    Raises:
        InputError: as there; or there are several objectives.
    """
    if len(objectives) == 1:
        name_by(by, objectives[0].name, space)
    elif by != "fitness":
        raise InputError(
            f"finalists.by={by}: the finalists of several objectives lie along the front; leave it "
            "out"
        )


def _lacks(evaluation: Evaluation, name: str) -> bool:
    """Whether a candidate that was scored lacks ``name``; trainings have no scores."""
    scores = evaluation.scores
    return evaluation.status == "ok" and name not in scores and TRAINED not in scores


def with_scores(
    evaluations: Sequence[Evaluation], name: str, space: SearchSpace[Any]
) -> list[Evaluation]:
    """Return the evaluations; those that are ``ok`` have the score ``name``.

    What the search itself did not compute comes from the package's prior of the space.
    """
    known = list(evaluations)
    rows = [i for i, one in enumerate(known) if _lacks(one, name)]
    if not rows:
        return known
    prior = shipped_prior(space)
    predicted, _ = prior.predict([known[i].genotype for i in rows])
    values = predicted
    if name in SCORE_AND_PRIOR:
        score = SCORE_AND_PRIOR[name]
        values = combined(prior, predicted, score, [known[i].scores[score] for i in rows])
    for i, value in zip(rows, values.tolist(), strict=True):
        known[i] = dataclasses.replace(known[i], scores={**known[i].scores, name: value})
    return known
