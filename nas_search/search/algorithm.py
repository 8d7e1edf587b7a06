"""The contract of a search algorithm: propose genotypes, learn from their evaluations."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from deap import base, tools

from nas_search.core.evaluation import Evaluation
from nas_search.core.registry import Registry
from nas_search.search.individual import Individual, same_network

HALL_OF_FAME = 100
"""Number of best individuals that an algorithm keeps."""


class Genotypes(Protocol):
    """What a search needs of a search space; no networks, and so no torch."""

    def sample(self, rng: np.random.Generator) -> Any:
        """Return a random genotype."""
        ...

    def mutate(self, genotype: Any, /, rng: np.random.Generator) -> Any:
        """Return a genotype one mutation away."""
        ...

    def crossover(self, first: Any, second: Any, /, rng: np.random.Generator) -> Any:
        """Return a child of two genotypes."""
        ...

    def canonical(self, genotype: Any, /) -> str:
        """Return a text that is equal exactly for genotypes of the same network."""
        ...


class Algorithm(ABC):
    """An evolutionary algorithm as a DEAP toolbox behind ask and tell.

    Networks that are the same up to relabeling are proposed once: a proposal whose canonical form
    was proposed before is drawn again.

    Args:
        space: where genotypes come from.
        rng: the run's generator; all randomness of the search comes from it.
        objective: name of the score that is the fitness.
        options: the algorithm's own options.

    Attributes:
        toolbox: DEAP toolbox with the operators that the algorithm uses.
        hall_of_fame: the best individuals so far, best first.
        logbook: one DEAP record a step: evaluations so far and statistics of the population.
    """

    tries: ClassVar[int] = 1000
    """Draws without a new network after which a way of proposing counts as exhausted."""

    def __init__(
        self, space: Genotypes, rng: np.random.Generator, objective: str, options: Any
    ) -> None:
        self.space = space
        self.rng = rng
        self.objective = objective
        self.options = options
        self.toolbox = base.Toolbox()
        self.hall_of_fame = tools.HallOfFame(HALL_OF_FAME, similar=same_network)
        self.statistics = tools.Statistics(key=lambda individual: individual.fitness.values[0])
        for name in ("min", "mean", "max", "std"):
            self.statistics.register(name, getattr(np, name))
        self.logbook = tools.Logbook()
        self.logbook.header = ["evaluations", *self.statistics.fields]
        self.duplicates = 0
        self._told = 0
        self._seen: set[str] = set()
        self._pending: list[Individual] = []

    def ask(self, n: int) -> list[Hashable]:
        """Return up to ``n`` genotypes to evaluate; none when the space is exhausted.

        Args:
            n: number of genotypes wanted, 1 or more. All are proposed from what has been told so
                far, so ``n`` is part of the algorithm, but where :meth:`independent` allows more.

        Raises:
            RuntimeError: genotypes asked for earlier have not been told.
        """
        if self._pending:
            raise RuntimeError("ask() was called twice: tell() the evaluations of the first call")
        for _ in range(n):
            individual = self._propose()
            if individual is None:
                break
            self._pending.append(individual)
        return [individual.genotype for individual in self._pending]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn from the evaluations of all genotypes that were asked for, in that order.

        Only evaluations with status ``ok`` and a finite score enter a population.

        Raises:
            RuntimeError: the evaluations are not those of the last :meth:`ask`.
        """
        pending, self._pending = self._pending, []
        if [e.genotype for e in evaluations] != [str(i.genotype) for i in pending]:
            self._pending = pending
            raise RuntimeError(
                f"tell() wants the {len(pending)} evaluations of the last ask(), in its order"
            )
        for individual, evaluation in zip(pending, evaluations, strict=True):
            score = evaluation.scores.get(self.objective, math.nan)
            if evaluation.status == "ok" and math.isfinite(score):
                individual.fitness.values = (score,)
                self.hall_of_fame.update([individual])
                self._accept(individual)
        self._told += len(evaluations)
        if self.population:
            self.logbook.record(evaluations=self._told, **self.statistics.compile(self.population))

    @property
    @abstractmethod
    def population(self) -> Sequence[Individual]:
        """The current population, oldest first."""

    def independent(self) -> int:
        """Return how many of the next proposals depend on no result that is still to be told.

        Asking for them at once or one by one gives the same genotypes. 0 where the next proposal
        already depends on results: then genotypes are asked for in batches of one size.
        """
        return 0

    @abstractmethod
    def _draw(self) -> Hashable:
        """Return a genotype as the algorithm would propose it next, duplicate or not."""

    @abstractmethod
    def _accept(self, individual: Individual) -> None:
        """Take an evaluated individual into the population."""

    def _propose(self) -> Individual | None:
        """Return a network never proposed before, or None when none is found."""
        return self._first_new(self._draw) or self._first_new(self._sample)

    def _first_new(self, draw: Any) -> Individual | None:
        for _ in range(self.tries):
            genotype = draw()
            key = self.space.canonical(genotype)
            if key not in self._seen:
                self._seen.add(key)
                return Individual(genotype, key)
            self.duplicates += 1
        return None

    def _sample(self) -> Hashable:
        genotype: Hashable = self.space.sample(self.rng)
        return genotype


@dataclass(frozen=True)
class AlgorithmRecord:
    """A registered algorithm.

    Attributes:
        name: the name in ``algorithm=...``.
        algorithm: its class, called as ``algorithm(space, rng, objective, **options)``.
        options: dataclass of its options.
        source: where it was published.
    """

    name: str
    algorithm: type[Algorithm]
    options: type[Any]
    source: str


ALGORITHMS: Registry[AlgorithmRecord] = Registry("algorithm", "nas_search.search")
