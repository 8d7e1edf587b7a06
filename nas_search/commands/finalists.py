"""From the evaluations of a search to the architectures that are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nas_search.commands.finalists_by import name_by, settled, with_scores
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objectives
from nas_search.data import ImageData
from nas_search.report import best_first
from nas_search.runs.architecture import Architecture
from nas_search.search.fronts import ranked_by_fronts
from nas_search.spaces import SPACES, SearchSpace
from nas_search.training import Finalist, FinalistsConfig, Recipe, choose_finalists


def finalists_of(
    ranked: Sequence[tuple[int, Evaluation]],
    score: str,
    basis: Architecture,
    wanted: FinalistsConfig,
    data: ImageData,
    recipe: Recipe,
) -> list[Finalist]:
    """Return the finalists of a search, best first.

    Args:
        ranked: numbers and evaluations of the search's candidates, best first.
        score: name of what they are the best by; empty if it is no score.
        basis: any architecture of the search; its genotype is replaced.
        wanted: how many, and how different.
        data: what they are trained on.
        recipe: how they are trained.

    Raises:
        InputError: the recipe names a size that the skeleton does not have, or the search has no
            such score.
    """
    chosen = choose_finalists(basis.space, ranked, wanted.k, wanted.distance)
    architectures = [dataclasses.replace(basis, genotype=e.genotype) for _, e in chosen]
    return [
        Finalist(for_training(architecture, data, recipe), evaluation.scores.get(score))
        for architecture, (_, evaluation) in zip(architectures, chosen, strict=True)
    ]


def ranked_by(
    evaluations: Sequence[Evaluation],
    objectives: Objectives,
    by: str,
    space: SearchSpace[Any],
    ranking: Sequence[int] = (),
) -> tuple[list[tuple[int, Evaluation]], str]:
    """Return what finalists are chosen from: numbers and evaluations, best first, and the score.

    Args:
        evaluations: of the search.
        objectives: what it searched for. Of several, the finalists lie along the front, in the
            order of :func:`.fronts.along`, and have no score.
        by: see :class:`nas_search.training.FinalistsConfig`.
        space: its search space.
        ranking: numbers, best first, by the last model of a search that trained; empty for others.

    Raises:
        InputError: the search has no such score.
    """
    if len(objectives) > 1:
        along = ranked_by_fronts(evaluations, objectives)
        return [(one.number, one.evaluation) for one in along], ""
    by = settled(by, objectives, space, bool(ranking))
    score = name_by(by, objectives[0].name, space)
    if by == "fitness" and ranking:
        count = len(evaluations)
        known = [n for n in ranking if isinstance(n, int) and 0 < n <= count]
        ranked = [(n, evaluations[n - 1]) for n in known]
        return [(n, one) for n, one in ranked if one.status != "rejected"], score
    return best_first(with_scores(evaluations, score, space), score), score


def for_training(architecture: Architecture, data: ImageData, recipe: Recipe) -> Architecture:
    """Return ``architecture`` in the recipe's sizes, for the images and classes of ``data``.

    Raises:
        InputError: the recipe names a size that the skeleton does not have.
    """
    sizes = {f.name for f in dataclasses.fields(SPACES.get(architecture.search_space).macro)}
    for name in recipe.network or {}:
        if name not in sizes:
            raise InputError(
                f"recipe.network.{name}: {architecture.search_space} has no such size; possible: "
                f"{', '.join(sorted(sizes))}; or set recipe.network=null"
            )
    return dataclasses.replace(
        architecture,
        input_shape=data.input_shape,
        num_classes=data.num_classes,
        macro={**architecture.macro, **(recipe.network or {})},
    )
