"""The last lines of a search: why it ended, what was found, and what to do with it."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from nas_search.commands.finalists_by import settled
from nas_search.commands.search_schema import SearchConfig
from nas_search.search import SearchOutcome
from nas_search.search.standings import Standing, again_of

NOT_COMPARABLE = (
    "scores of different proxies, data or settings are not comparable; training compares what they "
    "found"
)


def typed_path(path: Path) -> str:
    """Return a path as it is typed in this folder: relative where it lies below."""
    inside = path.is_absolute() and path.is_relative_to(Path.cwd())
    return str(path.relative_to(Path.cwd())) if inside else str(path)


def why_ended(config: SearchConfig, outcome: SearchOutcome) -> str:
    """Return why a search ended, as a part of a sentence."""
    if outcome.stop == "interrupted":
        return "interrupted"
    counted = sum(evaluation.status != "rejected" for evaluation in outcome.evaluations)
    if outcome.stop == "exhausted":
        return "finished: no new architecture is left in the space"
    most, minutes = config.budget.evaluations, config.budget.minutes
    trained = len(again_of(outcome.evaluations)) if config.learning is not None else 0
    if config.learning is not None and trained == config.budget.trainings:
        if config.budget.epochs is not None:
            return (
                f"finished: {trained:,} trainings are made, all that budget.epochs="
                f"{config.budget.epochs} pays for"
            )
        return f"finished: all {trained:,} trainings of the budget are made"
    counted -= trained
    if most is not None and counted >= most:
        return f"finished: all {most:,} evaluations of the budget are made"
    of = f", {counted:,} of {most:,} evaluations are made" if most is not None else ""
    return f"finished: the budget of {minutes:g} minute{'s' * (minutes != 1)} is spent{of}"


def closing_lines(
    config: SearchConfig, outcome: SearchOutcome, lead: Standing | None = None
) -> Iterator[str]:
    """Yield what a person should know of a search that has found something.

    ``lead`` is number 1 of a search that trains.
    """
    if lead is not None:
        yield from _guided_lines(config, lead)
        return
    population = getattr(config.algorithm_options, "population", None)
    scored = sum(evaluation.status == "ok" for evaluation in outcome.evaluations)
    if population is not None and scored <= population and outcome.stop == "budget":
        yield (
            f"nothing evolved yet: all {scored} scored architectures belong to the first, random "
            f"population of {population}; for so small a budget set algorithm.population=10 "
            "algorithm.tournament=3"
        )
    if config.several:
        yield (
            "best.json is number 1: the architecture of the front that dominates the most by "
            "itself, as yet untrained; the next ones add the most to those before them. See "
            f"front.png for all. A score is no accuracy, and {NOT_COMPARABLE}"
        )
    else:
        yield (
            f"best.json is the highest {config.proxy.name}, as yet untrained. The score orders the "
            f"candidates of one search, higher is better; it is no accuracy, and {NOT_COMPARABLE}"
        )


def _guided_lines(config: SearchConfig, lead: Standing) -> Iterator[str]:
    how = (
        f"number 1 was trained: {lead.accuracy:.2f} % validation accuracy"
        if math.isfinite(lead.accuracy)
        else "number 1 itself was not trained"
    )
    if math.isnan(lead.deviation):
        name = config.proxy.name
        yield f"too few trainings to learn from: best.json is the highest {name}; {how}"
        return
    yield (
        "best.json is what the last model expects most of, among all candidates seen, trained or "
        f"not; {how}. Predictions are in standard deviations of the trained accuracies; they order "
        "the candidates of one search"
    )


def next_step(
    config: SearchConfig, outcome: SearchOutcome, directory: Path
) -> tuple[str, str] | None:
    """Return what to do next, and the command for it; None where it is done, or not yet time."""
    if outcome.stop == "interrupted" or config.finalists.k:
        return None
    run = shlex.quote(f"run={typed_path(directory)}")
    best = "three along the front" if config.several else "the three best"
    trained = config.learning is not None
    by = config.finalists.by
    if by == "auto" and settled(by, config.objectives, config.space, trained) == "prior":
        best += " by what trained networks have taught"
    return f"next, train {best}:", f"python -m nas_search.train {run} finalists.k=3"


def sweep_lines(sweep: Path, jobs: int) -> Iterator[str]:
    """Yield what a person should know of the searches of a sweep."""
    run = shlex.quote(f"run={typed_path(sweep)}")
    searches = f"{jobs} search{'es' * (jobs != 1)}"
    yield f"{searches} in {typed_path(sweep)}{os.sep}; {NOT_COMPARABLE}:"
    yield f"  python -m nas_search.train {run}     trains the best of each"
    yield "or rank the proxies on a table of trained architectures: python -m nas_search.rank"
