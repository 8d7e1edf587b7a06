"""What a search is after: scores to maximize, costs to minimize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas_search.core.evaluation import Evaluation


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
        """Return its value; NaN if the evaluation does not have it.

        A cost is that of the network at the sizes that the search names; ``params`` and ``macs`` of
        a search that names none are those of the network that was scored.
        """
        for values in (evaluation.scores, evaluation.costs, vars(evaluation)):
            value = values.get(self.name)
            if isinstance(value, int | float):
                return float(value)
        return math.nan


Objectives = tuple[Objective, ...]


def parse_objective(text: str) -> Objective:
    """Return the objective that is written as ``min:NAME`` or ``max:NAME``; inverse of ``str``.

    A name alone is to be maximized.
    """
    direction, _, name = text.rpartition(":")
    if direction in ("min", "max"):
        return Objective(name, direction == "min")
    return Objective(text)


def as_objectives(given: str | Sequence[Objective]) -> Objectives:
    """Return objectives; a name alone is a score to maximize."""
    return (Objective(given),) if isinstance(given, str) else tuple(given)


def values_of(objectives: Sequence[Objective], evaluation: Evaluation) -> tuple[float, ...] | None:
    """Return one finite value per objective; None where the evaluation is not ``ok`` or lacks one.

    NaN, infinity and failures never enter a population or a front.
    """
    values = tuple(objective.value(evaluation) for objective in objectives)
    return values if evaluation.status == "ok" and all(map(math.isfinite, values)) else None
