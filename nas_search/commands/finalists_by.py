"""By what the finalists of a search are the best: its fitness, the score, a prior, or both.

Without a word it is the prior where one was better than the score in training, docs/equal_size.md.
"""

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

PRIOR_CHOSE_BETTER = ("darts",)
"""Spaces in which finalists by prior and by score of the same searches were trained, and those of
the prior were the better. On NAS-Bench-201 the highest score is the table's best already."""


def settled(by: str, objectives: Objectives, space: SearchSpace[Any], trained: bool) -> str:
    """Return ``by``, or what ``auto`` stands for.

    Of a search by a score alone that priors are joined with, the finalists are those of the prior
    where its were the better when both were trained, :data:`PRIOR_CHOSE_BETTER`. Else they are
    those of the fitness; of a search that trains, of its last model.

    Args:
        by: see :class:`nas_search.training.FinalistsConfig`.
        objectives: what the search is for.
        space: its search space.
        trained: whether the search trained, and its last model has an order.
    """
    if by != "auto":
        return by
    alone = len(objectives) == 1 and objectives[0].name in SCORE_AND_PRIOR.values()
    return "prior" if alone and not trained and space.name in PRIOR_CHOSE_BETTER else "fitness"


def settled_remark(by: str, objectives: Objectives, space: SearchSpace[Any], trained: bool) -> str:
    """Return what ``auto`` stands for, where it is not the fitness; arguments as above."""
    if by != "auto" or settled(by, objectives, space, trained) == "fitness":
        return ""
    return (
        f"finalists are the best by the prior of {space.name}, what trained networks have taught, "
        "which chose better ones than the score did (docs/equal_size.md); finalists.by=fitness "
        f"takes those of the highest {objectives[0].name}"
    )


def name_by(by: str, fitness: str, space: SearchSpace[Any]) -> str:
    """Return the name of the score that finalists are the best by.

    Args:
        by: see :class:`nas_search.training.FinalistsConfig`; not ``auto``.
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


def check_by(by: str, objectives: Objectives, space: SearchSpace[Any], trained: bool) -> None:
    """Refuse what :func:`name_by` would refuse after the search.

    Raises:
        InputError: as there; or there are several objectives.
    """
    if len(objectives) == 1:
        name_by(settled(by, objectives, space, trained), objectives[0].name, space)
    elif by not in ("auto", "fitness"):
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
