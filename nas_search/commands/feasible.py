"""Constraints that nothing meets are found out before a search, not after many rejections."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np

from nas_search.core.errors import InputError
from nas_search.costs import COSTS, bound_keys
from nas_search.scoring import Constraints, ScoringTask
from nas_search.scoring.constraints import number

SAMPLES = 50
"""Random candidates that are looked at first; where one is allowed, nothing else happens."""

WALKS = 3
"""Walks towards the bounds, each from the nearest of as many random candidates."""

STEPS = 200
"""Mutations per walk."""


def check_constraints(task: ScoringTask) -> None:
    """Refuse constraints that no candidate meets, as far as a short look at the space can tell.

    Raises:
        InputError: none of the candidates that were looked at meets them; the message has the
            nearest one and what each broken bound reaches by itself.
    """
    bounds = task.constraints
    if not bounds.bounds:
        return
    nearest, seen = _look(task, bounds)
    if nearest is None:
        return
    parts = [_said(bounds, key, nearest, task) for key in bounds.excesses(nearest)]
    names = ", ".join(f"constraints.{key}" for key in bounds.excesses(nearest))
    raise InputError(
        f"none of the {seen:,} candidates that were looked at meets the constraints; the nearest "
        f"has {' and '.join(parts)}; change {names}, the sizes of search_space, or those at which "
        "costs are counted (constraints.at)"
    )


def _look(task: ScoringTask, bounds: Constraints) -> tuple[dict[str, float] | None, int]:
    """Return the costs nearest to the bounds, None if some are within, and how many were seen."""
    nearest: dict[str, float] = {}
    seen = 0
    for costs in _ever_nearer(task, bounds):
        seen += 1
        if not bounds.excess(costs):
            return None, seen
        if not nearest or bounds.excess(costs) < bounds.excess(nearest):
            nearest = costs
    return nearest, seen


def _ever_nearer(task: ScoringTask, bounds: Constraints) -> Iterator[dict[str, float]]:
    """Yield the costs of random candidates, then of mutations of those nearest to the bounds."""
    rng = np.random.default_rng(0)
    for _ in range(WALKS):
        best: Hashable | None = None
        least = float("inf")
        for step in range(SAMPLES + STEPS):
            sample = step < SAMPLES or best is None
            candidate = task.space.sample(rng) if sample else task.space.mutate(best, rng)
            costs = task.costs(candidate)
            yield costs
            if bounds.excess(costs) <= least:
                best, least = candidate, bounds.excess(costs)


def _said(bounds: Constraints, key: str, nearest: dict[str, float], task: ScoringTask) -> str:
    """Return what the nearest candidate has where a bound is broken, and what that bound allows."""
    name, _ = bound_keys()[key]
    record, bound = COSTS.get(name), bounds.bounds[key]
    said = f"{record.text(nearest[name])} (constraints.{key}={number(bound)}"
    if len(bounds.bounds) == 1:
        return f"{said})"
    only = Constraints({key: bound}, at=bounds.at)
    alone, _ = _look(_with(task, only), only)
    if alone is None:
        return f"{said}, which can be met without the others)"
    return f"{said}, by itself {record.text(alone[name])} at best)"


def _with(task: ScoringTask, bounds: Constraints) -> ScoringTask:
    return ScoringTask(**{**task.__dict__, "constraints": bounds})
