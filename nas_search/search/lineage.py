"""Who comes from whom: a search space that remembers what its moves were given."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_search.core.evaluation import Evaluation

if TYPE_CHECKING:
    from nas_search.search.algorithm import Genotypes


class RememberedMoves:
    """The moves of ``space``, unchanged, and what each result was made from.

    Args:
        space: the space of a search.
    """

    def __init__(self, space: Genotypes) -> None:
        self._space = space
        self._made: dict[Hashable, tuple[Hashable, ...]] = {}

    def sample(self, rng: np.random.Generator) -> Any:
        """Return a random genotype, which comes from nobody."""
        genotype = self._space.sample(rng)
        self._made.pop(genotype, None)
        return genotype

    def mutate(self, genotype: Any, /, rng: np.random.Generator) -> Any:
        """Return a genotype one mutation away."""
        return self._remember(self._space.mutate(genotype, rng), genotype)

    def crossover(self, first: Any, second: Any, /, rng: np.random.Generator) -> Any:
        """Return a child of two genotypes."""
        return self._remember(self._space.crossover(first, second, rng), first, second)

    def neighbors(self, genotype: Any, /) -> Iterator[Any]:
        """Yield every genotype one mutation away, each once."""
        for neighbor in self._space.neighbors(genotype):
            yield self._remember(neighbor, genotype)

    def canonical(self, genotype: Any, /) -> str:
        """Return a text that is equal exactly for genotypes of the same network."""
        return self._space.canonical(genotype)

    def _remember(self, child: Hashable, *parents: Hashable) -> Hashable:
        if child not in parents:  # a crossing may give back one of the two
            self._made[child] = parents
        return child

    def parents(self, genotype: Hashable, proposed: Container[str]) -> tuple[str, ...]:
        """Return the canonical forms of those that ``genotype`` was made from last, in order.

        Args:
            genotype: what a move returned.
            proposed: holds the canonical forms of all that was proposed; what lies between, as the
                crossing before a mutation, is looked through.
        """
        found: dict[str, None] = {}
        waiting, seen = list(self._made.pop(genotype, ())), {genotype}
        while waiting:
            one = waiting.pop(0)
            key = self._space.canonical(one)
            if key in proposed:
                found[key] = None
            elif one not in seen:
                seen.add(one)
                waiting += self._made.get(one, ())
        return tuple(found)


def parents_by_number(
    parents: Mapping[str, Sequence[str]], evaluations: Sequence[Evaluation]
) -> list[list[int]]:
    """Return of each evaluation the numbers, from 1, of those that its genotype was made from.

    Args:
        parents: by canonical form, see :class:`.algorithm.Algorithm`.
        evaluations: the history. Where a candidate is evaluated again, by a training, its first
            number counts.
    """
    number: dict[str, int] = {}
    for count, evaluation in enumerate(evaluations, 1):
        number.setdefault(evaluation.key, count)
    return [
        [number[key] for key in parents.get(evaluation.key, ()) if key in number]
        for evaluation in evaluations
    ]
