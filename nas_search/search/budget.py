"""The budget of a search."""

from __future__ import annotations

from dataclasses import dataclass

from nas_search.core.errors import InputError


@dataclass(frozen=True)
class Budget:
    """Evaluations or minutes, whichever ends first; at least one of the two is set.

    Attributes:
        evaluations: candidates to evaluate; those that a constraint rejects do not count.
        minutes: search time, summed over continued runs.
    """

    evaluations: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.evaluations is None and self.minutes is None:
            raise InputError("the budget is endless: set budget.evaluations or budget.minutes")
        if self.evaluations is not None and self.evaluations < 1:
            raise InputError(f"budget.evaluations={self.evaluations} must be 1 or more")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise InputError(f"budget.minutes={self.minutes} must be more than 0")

    def left(self, evaluations: int, seconds: float) -> int:
        """Return the number of evaluations that may still start; 0 if the budget is spent."""
        if self.minutes is not None and seconds >= 60 * self.minutes:
            return 0
        if self.evaluations is None:
            return 1 << 30
        return max(0, self.evaluations - evaluations)
