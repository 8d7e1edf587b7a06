"""From the evaluations of a search to the architectures that are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.data import ImageData
from nas_search.report import best_first
from nas_search.runs import Run
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
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
        score: name of its fitness.
        basis: any architecture of the search; its genotype is replaced.
        wanted: how many, and how different.
        data: what they are trained on.
        recipe: how they are trained.

    Raises:
        InputError: the recipe names a size that the skeleton does not have.
    """
    chosen = choose_finalists(basis.space, ranked, wanted.k, wanted.distance)
    architectures = [dataclasses.replace(basis, genotype=e.genotype) for _, e in chosen]
    return [
        Finalist(for_training(architecture, data, recipe), evaluation.scores[score])
        for architecture, (_, evaluation) in zip(architectures, chosen, strict=True)
    ]


def ranked_of(run: Run) -> list[tuple[int, Evaluation]]:
    """Return numbers and evaluations of a search's candidates, best first.

    By its score, or where it trained by its last model, which the store keeps the ranking of.
    """
    ranking = run.config.get("ranking")
    if not ranking:
        return best_first(run.evaluations, run.score)
    count = len(run.evaluations)
    return [(n, run.evaluations[n - 1]) for n in ranking if isinstance(n, int) and 0 < n <= count]


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
