"""The first line of a search: what will be done, and how long it will take."""

from __future__ import annotations

from nas_search.commands.search_schema import SearchConfig
from nas_search.report.progress import duration
from nas_search.search import Budget


def opening_line(config: SearchConfig) -> str:
    """Return what a search will do, in a line."""
    if config.several:
        aim = f"trading off {', '.join(map(str, config.objectives))}"
    else:
        aim = f"for the highest {config.proxy.name}"
    return (
        f"search: {config.space.name} by {config.algorithm.name.replace('_', ' ')} {aim} on "
        f"{config.dataset.name}, seed {config.seed}: {bounds_of(config.budget)}"
        f"{'' if config.budget.minutes is not None else _unknown(config)}"
    )


def bounds_of(budget: Budget) -> str:
    """Return when a search will end, as a part of a sentence."""
    counted = [
        f"{count:,} {name[: -1 if count == 1 else None]}"
        for name in ("evaluations", "trainings", "epochs")
        if (count := getattr(budget, name)) is not None
    ]
    if budget.minutes is not None:
        counted.append(f"{budget.minutes:g} minute{'s' * (budget.minutes != 1)}")
    return counted[0] if len(counted) == 1 else f"{' or '.join(counted)}, whichever ends first"


def _unknown(config: SearchConfig) -> str:
    if config.learning is not None:
        return "; how long is not known before the first training"
    return "; how long is known after the first few"


def rest_line(budget: Budget, done: int, elapsed: float) -> str:
    """Return how long the rest of a continued search takes at its speed so far; empty if unknown.

    Args:
        budget: of the search.
        done: evaluations that count.
        elapsed: seconds of search that they took.
    """
    if budget.evaluations is None or not done or not elapsed:
        return ""
    left = budget.evaluations - done
    if left <= 0:
        return ""
    return f"; {left:,} are left, about {duration(left * elapsed / done)} at the speed so far"
