"""Constraints that nothing meets are found out before a search, not after many rejections."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np

from nas_search.core.errors import InputError
from nas_search.scoring import ScoringTask
from nas_search.spaces import Cost

SAMPLES = 50
"""Random candidates that are looked at first; where one is small enough, nothing else happens."""

STEPS = 200
"""Mutations of the smallest so far that are looked at next, to find how small networks can be."""


def check_constraints(task: ScoringTask) -> None:
    """Refuse constraints that no candidate meets, as far as a short look at the space can tell.

    Raises:
        InputError: none of the candidates that were looked at meets them; the message has the
            smallest one.
    """
    bounds = task.constraints
    if bounds.max_params is None and bounds.max_macs is None:
        return
    smallest, least = Cost(0, 0), float("inf")
    for cost in _ever_smaller(task):
        if not bounds.violation(cost):
            return
        if _excess(task, cost) < least:
            smallest, least = cost, _excess(task, cost)
    broken = bounds.violation(smallest)
    kind, count = (
        ("MACs", smallest.macs) if "max_macs" in broken else ("parameters", smallest.params)
    )
    key = "max_macs" if "max_macs" in broken else "max_params"
    raise InputError(
        f"the smallest of {SAMPLES + STEPS} candidates has {count:,} {kind}; raise "
        f"constraints.{key}={getattr(bounds, key)}, or lower the sizes of search_space"
    )


def _ever_smaller(task: ScoringTask) -> Iterator[Cost]:
    """Yield the costs of random candidates, then of mutations of the one nearest to the bounds."""
    rng = np.random.default_rng(0)
    best: Hashable = task.space.sample(rng)
    least = _excess(task, task.cost(best))
    for number in range(SAMPLES + STEPS):
        candidate = task.space.sample(rng) if number < SAMPLES else task.space.mutate(best, rng)
        cost = task.cost(candidate)
        yield cost
        if _excess(task, cost) <= least:
            best, least = candidate, _excess(task, cost)


def _excess(task: ScoringTask, cost: Cost) -> float:
    """Return by which factor ``cost`` exceeds the bounds; 1 or less is within them."""
    pairs = ((cost.params, task.constraints.max_params), (cost.macs, task.constraints.max_macs))
    return max(count / max(bound, 1e-9) for count, bound in pairs if bound is not None)
