"""Random search: the baseline of every search (Li & Talwalkar, UAI 2019)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from nas_search.core.objectives import Objective
from nas_search.search.algorithm import (
    ALGORITHMS,
    MOST_OBJECTIVES,
    Algorithm,
    AlgorithmRecord,
    Genotypes,
)
from nas_search.search.individual import Individual


@dataclass(frozen=True)
class RandomSearchOptions:
    """Random search has no options."""


class RandomSearch(Algorithm):
    """Uniform sampling without repetition; the population is the hall of fame."""

    def __init__(
        self,
        space: Genotypes,
        rng: np.random.Generator,
        objectives: str | Sequence[Objective],
        options: RandomSearchOptions,
    ) -> None:
        super().__init__(space, rng, objectives, options)
        self.toolbox.register("individual", self.space.sample, rng=rng)

    @property
    def population(self) -> Sequence[Individual]:
        """The best individuals so far."""
        best: list[Individual] = self.hall_of_fame.items
        return best

    def independent(self) -> int:
        """Return a large number: no proposal depends on a result."""
        return 1 << 30

    def _draw(self) -> Hashable:
        genotype: Hashable = self.toolbox.individual()
        return genotype

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
