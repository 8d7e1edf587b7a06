"""The finalists of a search that has ended: measured where latency matters, then trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nas_search.commands.finalists import finalists_of, ranked_by
from nas_search.commands.finalists_by import settled_remark
from nas_search.commands.latency import Latency
from nas_search.commands.measured_best import TRIES, MeasuredBest
from nas_search.commands.run_training import run_training
from nas_search.commands.search_report import SearchResult
from nas_search.commands.train_schema import TrainConfig
from nas_search.core.errors import RunError
from nas_search.core.evaluation import Evaluation
from nas_search.data import ImageData
from nas_search.search.fronts import ranked_by_fronts
from nas_search.training import Finalist


def measure_result(
    result: SearchResult, latency: Latency, data: ImageData, console: Console
) -> tuple[SearchResult, list[str]]:
    """Return the result without what was measured outside the bounds, and who may be trained.

    Raises:
        InputError: the finalists cannot be made.
        RunError: the disk refuses.
    """
    config, evaluations = result.config, result.outcome.evaluations
    best = MeasuredBest(latency, config.space, evaluations, config.constraints.bounds)
    predicted = dataclasses.replace(result, measured={})

    def leaders(known: Sequence[Evaluation]) -> list[str]:
        ranked = [(n, e) for n, e in predicted.ranked if known[n - 1].status == "ok"]
        if config.several:  # without one of a front others may be on it
            fronts = ranked_by_fronts(known, config.objectives)
            ranked = [(one.number, one.evaluation) for one in fronts]
        return [e.genotype for _, e in ranked[: config.latency.best]]

    def finalists(known: Sequence[Evaluation]) -> list[str]:
        return [one.architecture.genotype for one in _finalists(predicted, known, data)]

    kept = best.settle(leaders, config.latency.best)
    trained = best.settle(finalists, config.finalists.k) if _are_trained(result) else []
    result = dataclasses.replace(result, measured=best.measured)
    best.report(result.ranked, console)
    if len(kept) < min(config.latency.best, len(result.ranked)):
        console.print(
            f"only {len(kept)} of the {TRIES * config.latency.best} that were measured keep to the "
            "bound: lower it by as much as they are above",
            highlight=False,
            soft_wrap=True,
        )
    return result, trained


def train_result(
    result: SearchResult,
    data: ImageData,
    directory: Path,
    console: Console,
    measured: Sequence[str] | None = None,
) -> None:
    """Train the best that were found, where ``finalists.k`` asks for it.

    Args:
        result: of the search.
        data: what is trained on.
        directory: of the run.
        console: where progress and the table go.
        measured: genotypes whose measured latency keeps to the bounds; None where any may be
            trained.

    Raises:
        InputError: the finalists cannot be made.
        RunError: none keeps to the bounds, or could be trained.
    """
    config = result.config
    if not _are_trained(result) or config.recipe is None:
        return
    candidates = _finalists(result, result.eligible, data)
    if measured is not None:
        fitting = [one for one in candidates if one.architecture.genotype in measured]
        if not fitting:
            raise RunError(
                "none of the best that were measured keeps to the bound on the latency, so none is "
                "trained; lower the bound by as much as they are above it (latency_best.csv), and "
                "search again"
            )
        if len(fitting) < len(candidates):
            console.print(
                f"{len(fitting)} instead of {len(candidates)} finalists are trained: of the best "
                "that were measured no other keeps to the bound on the latency",
                highlight=False,
                soft_wrap=True,
            )
        candidates = fitting
    remark = settled_remark(
        config.finalists.by, config.objectives, config.space, config.learning is not None
    )
    training = TrainConfig(
        *(candidates, data, config.recipe, config.finalists, config.device), remark=remark
    )
    run_training(training, directory, console)


def _are_trained(result: SearchResult) -> bool:
    return bool(result.config.finalists.k) and result.config.recipe is not None


def _finalists(
    result: SearchResult, evaluations: Sequence[Evaluation], data: ImageData
) -> list[Finalist]:
    """Return the finalists among ``evaluations`` of a search, best first."""
    config = result.config
    assert config.recipe is not None
    numbers = [number for number, _ in result.ranked] if result.guide is not None else ()
    ranked, score = ranked_by(
        evaluations, config.objectives, config.finalists.by, config.space, numbers
    )
    basis = result.architecture("")
    return finalists_of(ranked, score, basis, config.finalists, data, config.recipe)
