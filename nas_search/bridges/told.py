"""What is told of an evaluation: numbers by name."""

from __future__ import annotations

from collections import Counter

from nas_search.core.evaluation import STATUSES, Evaluation
from nas_search.core.objectives import Objectives, values_of


class Telling:
    """Turns evaluations, in the order of a search, into numbers.

    ``score/NAME`` and ``cost/NAME`` are those of the evaluation; ``best/NAME`` is the best so far
    of an objective; ``count/STATUS`` is how many evaluations ended so, this one included;
    ``seconds`` is what it took. ``cost/params`` and ``cost/macs`` are of the network that was
    scored, unless a bound or ``constraints.costs`` asks for those at other sizes.
    """

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._best: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    def of(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the numbers of the next evaluation."""
        self._counts[evaluation.status] += 1
        values = values_of(self._objectives, evaluation)
        for objective, value in zip(self._objectives, values or (), strict=False):
            best = self._best.get(objective.name, value)
            self._best[objective.name] = objective.weight * max(
                objective.weight * best, objective.weight * value
            )
        scored = {"params": evaluation.params, "macs": evaluation.macs}
        costs = {name: value for name, value in scored.items() if value is not None}
        return {
            **{f"score/{name}": value for name, value in evaluation.scores.items()},
            **{f"best/{name}": value for name, value in self._best.items()},
            **{
                f"cost/{name}": float(value)
                for name, value in {**costs, **evaluation.costs}.items()
            },
            **{f"count/{status}": float(self._counts[status]) for status in STATUSES},
            "seconds": evaluation.seconds,
        }
