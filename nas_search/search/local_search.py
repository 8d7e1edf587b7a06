"""Local search: White, Nolen and Savani, UAI 2021 (Exploring the Loss Landscape in NAS).

::

    repeat:
        current <- the best of some random individuals
        repeat:
            evaluate all neighbors of current, those one mutation away
            if the best of them is better: current <- that one; else: leave, current is an optimum

Networks that were evaluated before, in an earlier climb, are not evaluated again: what they scored
counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.search.algorithm import ALGORITHMS, Algorithm, AlgorithmRecord, Genotypes
from nas_search.search.individual import Individual


@dataclass(frozen=True)
class LocalSearchOptions:
    """Options of local search.

    Attributes:
        starts: random individuals of which the best begins a climb, 1 or more.
    """

    starts: int = 10

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise InputError(f"algorithm.starts={self.starts} must be 1 or more")


class LocalSearch(Algorithm):
    """Climbs to the best neighbor until there is none, then starts anew."""

    def __init__(
        self,
        space: Genotypes,
        rng: np.random.Generator,
        objectives: str | Sequence[Objective],
        options: LocalSearchOptions,
    ) -> None:
        super().__init__(space, rng, objectives, options)
        self._scored: dict[str, Individual] = {}  # by canonical form
        self._starts: list[Individual] = []
        self._current: Individual | None = None
        self._around: list[str] = []  # canonical forms of the neighbors of the current one
        self._waiting: deque[Hashable] = deque()  # those of them that nobody has proposed

    @property
    def population(self) -> Sequence[Individual]:
        """The individual whose neighbors are looked at, or those of which a climb begins."""
        return self._starts if self._current is None else [self._current]

    def independent(self) -> int:
        """Return the number of starts still missing, or of neighbors not yet proposed."""
        if self._current is None:
            missing: int = self.options.starts - len(self._starts)
            return missing
        return len(self._waiting)

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Take the evaluations of the last :meth:`ask`; then take a step, if all are known."""
        super().tell(evaluations)
        if self._current is None and len(self._starts) >= self.options.starts:
            self._look_around(_best(self._starts))
        while self._current is not None and not self._waiting:
            best = _best([self._scored[key] for key in self._around if key in self._scored])
            if best is not None and best.fitness > self._current.fitness:
                self._look_around(best)
            else:
                self._current, self._starts = None, []

    def _look_around(self, current: Individual | None) -> None:
        """Go to ``current`` and queue those of its neighbors that have not been proposed."""
        assert current is not None
        self._current = current
        neighbors: dict[str, Hashable] = {}
        for neighbor in self.space.neighbors(current.genotype):
            neighbors.setdefault(self.space.canonical(neighbor), neighbor)
        self._around = list(neighbors)
        new = [one for key, one in neighbors.items() if key not in self._proposed_keys]
        self._waiting = deque(new[place] for place in self.rng.permutation(len(new)))

    def _draw(self) -> Hashable:
        if self._waiting:
            return self._waiting.popleft()
        return self._sample()

    def _accept(self, individual: Individual) -> None:
        self._scored[individual.key] = individual
        if self._current is None:
            self._starts.append(individual)


def _best(individuals: Sequence[Individual]) -> Individual | None:
    """Return the individual of the highest fitness, in ties the first; None if there is none."""
    return max(individuals, key=lambda one: one.fitness, default=None)


ALGORITHMS.add(
    AlgorithmRecord(
        name="local_search",
        algorithm=LocalSearch,
        options=LocalSearchOptions,
        source="White et al., UAI 2021",
    )
)
