"""The budget of a search."""

from __future__ import annotations

import dataclasses
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
    """Evaluations, minutes, trainings or epochs, whichever ends first; at least one is set.

    Attributes:
        evaluations: candidates to score; those that a constraint rejects do not count.
        minutes: search time, summed over continued runs.
        trainings: candidates to train, for an algorithm that trains.
        epochs: of all its trainings together; :meth:`in_trainings` says how many they pay for.
    """

    evaluations: int | None = None
    minutes: float | None = None
    trainings: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        bounds = (self.evaluations, self.minutes, self.trainings, self.epochs)
        if all(bound is None for bound in bounds):
            raise InputError("the budget is endless: set budget.evaluations or budget.minutes")
        for key in ("evaluations", "trainings", "epochs"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise InputError(f"budget.{key}={value} must be 1 or more")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise InputError(f"budget.minutes={self.minutes} must be more than 0")

    def in_trainings(self, each: int) -> Budget:
        """Return the budget with its epochs as a number of trainings, each of ``each`` epochs.

        ``epochs`` remains where it is what ends the search. A training is made whole or not at all.

        Raises:
            InputError: the epochs do not pay for a single training.
        """
        if self.epochs is None:
            return self
        paid = self.epochs // each
        if not paid:
            raise InputError(
                f"budget.epochs={self.epochs} pays for no training: one takes {each} epochs "
                "(algorithm.recipe.epochs, and more where algorithm.recipe.min_steps asks for them)"
            )
        if self.trainings is not None and self.trainings <= paid:
            return dataclasses.replace(self, epochs=None)
        return dataclasses.replace(self, trainings=paid)

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
