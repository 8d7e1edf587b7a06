"""What a search is after: scores to maximize, costs to minimize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas_search.core.evaluation import Evaluation

COSTS = ("params", "macs")
"""Costs of a candidate that every evaluation has; less is better."""


@dataclass(frozen=True)
class Objective:
    """One number per candidate, and which way is better.

    Attributes:
        name: of a score or a cost.
        minimize: whether less is better.
    """

    name: str
    minimize: bool = False

    def __str__(self) -> str:
        return f"{'min' if self.minimize else 'max'}:{self.name}"

    @property
    def weight(self) -> float:
        """1 where more is better, -1 where less is."""
        return -1.0 if self.minimize else 1.0

    def value(self, evaluation: Evaluation) -> float:
        """Return its value; NaN if the evaluation does not have it."""
        value = evaluation.scores.get(self.name)
        if value is None and self.name in COSTS:
            value = getattr(evaluation, self.name)
        return math.nan if value is None else float(value)


Objectives = tuple[Objective, ...]


def parse_objective(text: str) -> Objective:
    """Return the objective that is written as ``min:NAME`` or ``max:NAME``; inverse of ``str``.

    A name alone is a score, to be maximized, or one of :data:`COSTS`, to be minimized.
    """
    direction, _, name = text.rpartition(":")
    if direction in ("min", "max"):
        return Objective(name, direction == "min")
    return Objective(text, text in COSTS)


def as_objectives(given: str | Sequence[Objective]) -> Objectives:
    """Return objectives; a name alone is a score to maximize."""
    return (Objective(given),) if isinstance(given, str) else tuple(given)


def values_of(objectives: Sequence[Objective], evaluation: Evaluation) -> tuple[float, ...] | None:
    """Return one finite value per objective; None where the evaluation is not ``ok`` or lacks one.

    NaN, infinity and failures never enter a population or a front.
    """
    values = tuple(objective.value(evaluation) for objective in objectives)
    return values if evaluation.status == "ok" and all(map(math.isfinite, values)) else None
