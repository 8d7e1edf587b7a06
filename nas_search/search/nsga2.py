"""NSGA-II: evolution towards a front of several objectives (Deb et al., IEEE TEC 2002).

::

    parents <- N random individuals
    repeat:
        offspring <- N times: two tournaments, crossover with probability p, mutation
        parents <- the N of parents and offspring that stand on the first fronts;
                   of the last front that is needed, the loneliest

A tournament is won by whoever dominates, else by whoever has the larger crowding distance. All
children of a generation come from the same parents, so they can be evaluated at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from deap import tools

from nas_search.core.errors import InputError
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
class Nsga2Options:
    """Options of NSGA-II.

    Attributes:
        population: number N of individuals alive and of children per generation, 4 or more.
        crossover: probability that two parents are crossed before mutation. The paper has 0.9; here
            it does not pay, see docs/fronts.md.
    """

    population: int = 20
    crossover: float = 0.0

    def __post_init__(self) -> None:
        if self.population < 4:
            raise InputError(f"algorithm.population={self.population} must be 4 or more")
        if not 0 <= self.crossover <= 1:
            raise InputError(f"algorithm.crossover={self.crossover} must be between 0 and 1")


class Nsga2(Algorithm):
    """NSGA-II by DEAP's selections; failed candidates enter no generation."""

    def __init__(
        self,
        space: Genotypes,
        rng: np.random.Generator,
        objectives: str | Sequence[Objective],
        options: Nsga2Options,
    ) -> None:
        super().__init__(space, rng, objectives, options)
        self._parents: list[Individual] = []
        self._offspring: list[Individual] = []
        self._mates: deque[Individual] = deque()
        self.toolbox.register("mutate", self.space.mutate, rng=rng)
        self.toolbox.register("mate", self.space.crossover, rng=rng)
        self.toolbox.register("select", tools.selNSGA2, k=options.population, nd="log")

    @property
    def population(self) -> Sequence[Individual]:
        """The parents of the current generation; those drawn so far while it is the first."""
        return self._parents or self._offspring

    def independent(self) -> int:
        """Return the number of individuals still missing from the current generation."""
        missing: int = self.options.population - len(self._offspring)
        return missing

    def _draw(self) -> Hashable:
        if not self._parents:
            return self._sample()
        genotype: Hashable = self._mate().genotype
        if self.rng.random() < self.options.crossover:
            genotype = self.toolbox.mate(genotype, self._mate().genotype)
        genotype = self.toolbox.mutate(genotype)
        return genotype

    def _accept(self, individual: Individual) -> None:
        self._offspring.append(individual)
        if len(self._offspring) == self.options.population:
            self._parents = self.toolbox.select(self._parents + self._offspring)
            self._offspring = []
            self._mates.clear()

    def _mate(self) -> Individual:
        """Return the next winner of a tournament; in a round of them everybody takes part twice."""
        if not self._mates:
            with _python_random(self.rng):
                count = len(self._parents) - len(self._parents) % 4  # DEAP draws them by fours
                self._mates.extend(tools.selTournamentDCD(self._parents, count))
        return self._mates.popleft()


@contextmanager
def _python_random(rng: np.random.Generator) -> Iterator[None]:
    """Seed Python's global generator, from which DEAP draws, by ``rng``; leave it as it was."""
    before = random.getstate()
    random.seed(int(rng.integers(2**63)))
    try:
        yield
    finally:
        random.setstate(before)


ALGORITHMS.add(
    AlgorithmRecord(
        name="nsga2",
        algorithm=Nsga2,
        options=Nsga2Options,
        source="Deb et al., IEEE TEC 2002",
        objectives=(2, MOST_OBJECTIVES),
    )
)
