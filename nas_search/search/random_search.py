"""Random search: the baseline of every search (Li & Talwalkar, UAI 2019)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from nas_search.search.algorithm import (
    ALGORITHMS,
    MOST_OBJECTIVES,
    Algorithm,
    AlgorithmRecord,
)
from nas_search.search.individual import Individual


@dataclass(frozen=True)
class RandomSearchOptions:
    """Random search has no options."""


class RandomSearch(Algorithm):
    """Uniform sampling without repetition; the population is the hall of fame."""

    @property
    def population(self) -> Sequence[Individual]:
        """The best individuals so far."""
        best: list[Individual] = self.hall_of_fame.items
        return best

    def independent(self) -> int:
        """Return a large number: no proposal depends on a result."""
        return 1 << 30

    def _draw(self) -> Hashable:
        return self._sample()

    def _accept(self, individual: Individual) -> None:
        pass  # the hall of fame has it already


ALGORITHMS.add(
    AlgorithmRecord(
        name="random",
        algorithm=RandomSearch,
        options=RandomSearchOptions,
        source="Li & Talwalkar, UAI 2019",
        objectives=(1, MOST_OBJECTIVES),
    )
)
