"""Regularized (aging) evolution: Real et al., AAAI 2019, algorithm 1.

::

    population <- P random individuals
    repeat:
        sample <- S individuals of the population, without replacement
        child <- mutate(best of sample)
        append child to the population
        remove the oldest individual

Removing the oldest instead of the worst individual means that a lineage survives only if its
descendants score well too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from deap import tools

from nas_search.core.errors import InputError
from nas_search.core.objectives import Objective
from nas_search.search.algorithm import ALGORITHMS, Algorithm, AlgorithmRecord, Genotypes
from nas_search.search.individual import Individual


@dataclass(frozen=True)
class RegularizedEvolutionOptions:
    """Options of regularized evolution.

    Attributes:
        population: number P of individuals alive, 2 or more.
        tournament: number S of individuals that compete to be the parent, in [1, P].
        crossover: probability that a child's two parents (two tournaments) are crossed before
            mutation; 0 is the published algorithm.
    """

    population: int = 100
    tournament: int = 25
    crossover: float = 0.0

    def __post_init__(self) -> None:
        if self.population < 2:
            raise InputError(f"algorithm.population={self.population} must be 2 or more")
        if not 1 <= self.tournament <= self.population:
            raise InputError(
                f"algorithm.tournament={self.tournament} must be between 1 and "
                f"algorithm.population={self.population}"
            )
        if not 0 <= self.crossover <= 1:
            raise InputError(f"algorithm.crossover={self.crossover} must be between 0 and 1")


class RegularizedEvolution(Algorithm):
    """Aging evolution on a bounded queue; failed candidates never enter it."""

    def __init__(
        self,
        space: Genotypes,
        rng: np.random.Generator,
        objectives: str | Sequence[Objective],
        options: RegularizedEvolutionOptions,
    ) -> None:
        super().__init__(space, rng, objectives, options)
        self._alive: deque[Individual] = deque(maxlen=options.population)
        self.toolbox.register("mutate", self.space.mutate, rng=rng)
        self.toolbox.register("mate", self.space.crossover, rng=rng)
        self.toolbox.register("select", select_tournament, tournsize=options.tournament, rng=rng)

    @property
    def population(self) -> Sequence[Individual]:
        """The individuals alive, oldest first."""
        return self._alive

    def independent(self) -> int:
        """Return the number of random individuals still missing from the initial population."""
        missing: int = self.options.population - len(self._alive)
        return missing

    def _draw(self) -> Hashable:
        if len(self._alive) < self.options.population:
            return self._sample()
        parent = self.toolbox.select(self._alive).genotype
        if self.options.crossover and self.rng.random() < self.options.crossover:
            parent = self.toolbox.mate(parent, self.toolbox.select(self._alive).genotype)
        child: Hashable = self.toolbox.mutate(parent)
        return child

    def _accept(self, individual: Individual) -> None:
        self._alive.append(individual)  # the queue is bounded: the oldest leaves


def select_tournament(
    population: Sequence[Individual], tournsize: int, rng: np.random.Generator
) -> Individual:
    """Return the best of ``tournsize`` distinct individuals drawn uniformly.

    DEAP's ``selTournament`` draws with replacement, and from Python's global generator; the
    published algorithm draws without, and a run must depend on its seed alone.
    """
    indices = rng.choice(len(population), size=tournsize, replace=False)
    best: Individual = tools.selBest([population[i] for i in indices], 1)[0]
    return best


ALGORITHMS.add(
    AlgorithmRecord(
        name="regularized_evolution",
        algorithm=RegularizedEvolution,
        options=RegularizedEvolutionOptions,
        source="Real et al., AAAI 2019",
    )
)
