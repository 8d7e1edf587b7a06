"""DEAP's view of a candidate: a genotype with a fitness."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache

from deap import base

from nas_search.core.objectives import Objectives


class Fitness(base.Fitness):  # type: ignore[misc]  # DEAP has no types
    """One objective, to be maximized: the proxy's score."""

    weights = (1.0,)


@cache
def fitness_of(objectives: Objectives) -> type[Fitness]:
    """Return the class of fitnesses of ``objectives``: a number for each, in their order."""
    weights = tuple(objective.weight for objective in objectives)
    return type("FitnessOfObjectives", (Fitness,), {"weights": weights})


@dataclass(eq=False)
class Individual:
    """A member of a population.

    Attributes:
        genotype: the genotype itself.
        key: its canonical form.
        fitness: DEAP fitness; valid once the algorithm was told a score.
    """

    genotype: Hashable
    key: str
    fitness: Fitness = field(default_factory=Fitness)


def same_network(first: Individual, second: Individual) -> bool:
    """Whether two individuals are the same network (for DEAP's hall of fame)."""
    return first.key == second.key
