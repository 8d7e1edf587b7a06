"""The interface of a search algorithm: propose genotypes, take their evaluations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from deap import base, tools

from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective, as_objectives, values_of
from nas_search.core.registry import Registry
from nas_search.search.individual import Individual, fitness_of, same_network
from nas_search.search.lineage import RememberedMoves

Step = Literal["score", "train"]
"""What genotypes are asked for: to be scored at initialization, or to be trained."""

HALL_OF_FAME = 100
"""Number of best individuals that an algorithm keeps."""


MOST_OBJECTIVES = 6
"""Of a front: its hypervolume takes time that grows exponentially with their number."""


class Genotypes(Protocol):
    """The part of a search space that a search needs: no networks, hence no torch."""

    def sample(self, rng: np.random.Generator) -> Any:
        """Return a random genotype."""
        ...

    def mutate(self, genotype: Any, /, rng: np.random.Generator) -> Any:
        """Return a genotype one mutation away."""
        ...

    def crossover(self, first: Any, second: Any, /, rng: np.random.Generator) -> Any:
        """Return a child of two genotypes."""
        ...

    def neighbors(self, genotype: Any, /) -> Iterable[Any]:
        """Return every genotype one mutation away, each once."""
        ...

    def canonical(self, genotype: Any, /) -> str:
        """Return a text that is equal exactly for genotypes of the same network."""
        ...


class Algorithm(ABC):
    """An evolutionary algorithm: a DEAP toolbox with ask and tell.

    A network is proposed once: a proposal with the canonical form of an earlier one is redrawn.

    Args:
        space: the search space.
        rng: the run's generator; all randomness of the search comes from it.
        objectives: what it searches for, or the name of one score to maximize.
        options: the algorithm's own options.

    Attributes:
        toolbox: DEAP toolbox with the operators of the algorithm.
        objectives: what it searches for, one or more.
        hall_of_fame: the best individuals so far, best first; with several objectives all that no
            other dominates.
        logbook: one DEAP record per step: evaluations so far and statistics of the population's
            first objective.
        parents: of each proposal, by canonical form, the canonical forms of those that it was made
            from; none of a random one.
    """

    tries: ClassVar[int] = 1000
    """Draws without a new network after which an operator counts as exhausted."""

    tries_of_draw: ClassVar[int] = 1000
    """The same for the algorithm's own draws; random ones follow."""

    def __init__(
        self,
        space: Genotypes,
        rng: np.random.Generator,
        objectives: str | Sequence[Objective],
        options: Any,
    ) -> None:
        self.space = RememberedMoves(space)
        self.rng = rng
        self.objectives = as_objectives(objectives)
        self.options = options
        self.toolbox = base.Toolbox()
        self.toolbox.register("individual", self.space.sample, rng=rng)
        self._fitness = fitness_of(self.objectives)
        self.hall_of_fame = (
            tools.HallOfFame(HALL_OF_FAME, similar=same_network)
            if len(self.objectives) == 1
            else tools.ParetoFront(similar=same_network)
        )
        self.statistics = tools.Statistics(key=lambda individual: individual.fitness.values[0])
        for name in ("min", "mean", "max", "std"):
            self.statistics.register(name, getattr(np, name))
        self.logbook = tools.Logbook()
        self.logbook.header = ["evaluations", *self.statistics.fields]
        self.duplicates = 0
        self.parents: dict[str, tuple[str, ...]] = {}
        self._told = 0
        self._proposed_keys: set[str] = set()
        self._pending: list[Individual] = []

    def ask(self, n: int) -> list[Hashable]:
        """Return up to ``n`` genotypes to evaluate; none if the space is exhausted.

        Args:
            n: number of genotypes, 1 or more. All are proposed from the evaluations told so far, so
                ``n`` changes the search, unless it is at most :meth:`independent`.

        Raises:
            RuntimeError: the evaluations of the previous call have not been told.
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
        """Take the evaluations of the genotypes of the last :meth:`ask`, in its order.

        Only evaluations with status ``ok`` and finite objectives enter a population.

        Raises:
            RuntimeError: the evaluations are not those of the last :meth:`ask`.
        """
        pending, self._pending = self._pending, []
        if [e.genotype for e in evaluations] != [str(i.genotype) for i in pending]:
            self._pending = pending
            raise RuntimeError(
                f"tell() needs the {len(pending)} evaluations of the last ask(), in its order"
            )
        self._take(pending, evaluations)
        self._told += len(evaluations)
        if self.population:
            self.logbook.record(evaluations=self._told, **self.statistics.compile(self.population))

    @property
    def step(self) -> Step:
        """What the pending proposals, or else the next ones, are asked for."""
        return "score"

    @property
    @abstractmethod
    def population(self) -> Sequence[Individual]:
        """The current population, oldest first."""

    def independent(self) -> int:
        """Return the number of next proposals that do not depend on results still to be told.

        Asking for them at once or one by one gives the same genotypes. If it is 0, the next
        proposal depends on results, and genotypes are requested in batches of fixed size.
        """
        return 0

    def _take(self, individuals: Sequence[Individual], evaluations: Sequence[Evaluation]) -> None:
        """Take the evaluations of ``individuals``; those with a score may enter the population."""
        for individual, evaluation in zip(individuals, evaluations, strict=True):
            values = values_of(self.objectives, evaluation)
            if values is not None:
                individual.fitness.values = values
                self.hall_of_fame.update([individual])
                self._accept(individual)

    @abstractmethod
    def _draw(self) -> Hashable:
        """Return the next proposal of the algorithm, duplicate or not."""

    @abstractmethod
    def _accept(self, individual: Individual) -> None:
        """Add an evaluated individual to the population."""

    def _propose(self) -> Individual | None:
        """Return an individual not proposed before; None if none is found."""
        return self._first_new(self._draw, self.tries_of_draw) or self._first_new(
            self._sample, self.tries
        )

    def _first_new(self, draw: Any, tries: int) -> Individual | None:
        for _ in range(tries):
            genotype = draw()
            key = self.space.canonical(genotype)
            if key not in self._proposed_keys:
                self.parents[key] = self.space.parents(genotype, self._proposed_keys)
                self._proposed_keys.add(key)
                return Individual(genotype, key, self._fitness())
            self.duplicates += 1
        return None

    def _sample(self) -> Hashable:
        genotype: Hashable = self.toolbox.individual()
        return genotype


@dataclass(frozen=True)
class AlgorithmRecord:
    """A registered algorithm.

    Attributes:
        name: the name in ``algorithm=...``.
        algorithm: its class, called as ``algorithm(space, rng, objectives, options)``.
        options: dataclass of its options.
        source: its publication.
        objectives: how many it takes, least and most.
        trains: whether it asks for trainings too; it then has an attribute ``guide``, see
            :class:`nas_search.search.guided.Guide`, which is set before the first ask.
    """

    name: str
    algorithm: type[Algorithm]
    options: type[Any]
    source: str
    objectives: tuple[int, int] = (1, 1)
    trains: bool = False


ALGORITHMS: Registry[AlgorithmRecord] = Registry("algorithm", "nas_search.search")
