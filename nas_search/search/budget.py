"""The budget of a search."""

from __future__ import annotations

from dataclasses import dataclass

from nas_search.core.errors import InputError
from nas_search.search.algorithm import Step


@dataclass
class Spent:
    """What a search has used up so far.

    Attributes:
        evaluations: candidates scored; those that a constraint rejects do not count.
        trainings: candidates trained, those whose training failed too.
        seconds: search time, summed over continued runs.
    """

    evaluations: int = 0
    trainings: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """Evaluations, minutes or trainings, whichever ends first; at least one of them is set.

    Attributes:
        evaluations: candidates to score; those that a constraint rejects do not count.
        minutes: search time, summed over continued runs.
        trainings: candidates to train, for an algorithm that trains.
    """

    evaluations: int | None = None
    minutes: float | None = None
    trainings: int | None = None

    def __post_init__(self) -> None:
        if self.evaluations is None and self.minutes is None and self.trainings is None:
            raise InputError("the budget is endless: set budget.evaluations or budget.minutes")
        for key in ("evaluations", "trainings"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise InputError(f"budget.{key}={value} must be 1 or more")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise InputError(f"budget.minutes={self.minutes} must be more than 0")

    def left(self, spent: Spent, step: Step = "score") -> int:
        """Return how many candidates may still be scored or trained; 0 if the budget is spent.

        A search that has made all its trainings is over: it scores no further candidates.
        """
        trainings = _left(self.trainings, spent.trainings)
        if not trainings or (self.minutes is not None and spent.seconds >= 60 * self.minutes):
            return 0
        return trainings if step == "train" else _left(self.evaluations, spent.evaluations)


def _left(bound: int | None, done: int) -> int:
    return 1 << 30 if bound is None else max(0, bound - done)
