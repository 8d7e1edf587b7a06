"""A search space as a search with constraints sees it: its moves lead back to what is allowed.

A proposal that breaks a bound is drawn again, so that what is proposed is distributed as before
among what is allowed. Where this takes too long, the proposal that is nearest is repaired: mutated
as long as each step brings it no farther from the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nas_search.search.algorithm import Genotypes

TRIES = 200
"""Draws of an operator before its nearest proposal is repaired."""

STEPS = 200
"""Mutations of a repair; what still breaks a bound then is rejected as an evaluation."""


class FeasibleGenotypes:
    """The moves of a space, within bounds.

    Args:
        space: the space.
        excess: how far a genotype is outside; 0 within the bounds.

    Attributes:
        proposed: genotypes that the algorithm got.
        drawn: genotypes that were looked at for them; the others were wasted.
        repaired: of those proposed, how many came from a repair.
    """

    def __init__(self, space: Genotypes, excess: Callable[[Any], float]) -> None:
        self._space = space
        self._excess = excess
        self.proposed = self.drawn = self.repaired = 0

    @property
    def wasted(self) -> float:
        """The share of genotypes that were drawn for nothing, in [0, 1)."""
        return 1 - self.proposed / self.drawn if self.drawn else 0.0

    def report(self) -> dict[str, float]:
        """Return the counts, for the files of a run."""
        counts = {"proposed": self.proposed, "drawn": self.drawn, "repaired": self.repaired}
        return {**counts, "wasted": round(self.wasted, 4)}

    def sample(self, rng: np.random.Generator) -> Any:
        """Return a random genotype within the bounds."""
        return self._within(lambda: self._space.sample(rng), rng)

    def mutate(self, genotype: Any, /, rng: np.random.Generator) -> Any:
        """Return a genotype one mutation away within the bounds, or more where there is none."""
        return self._within(lambda: self._space.mutate(genotype, rng), rng)

    def crossover(self, first: Any, second: Any, /, rng: np.random.Generator) -> Any:
        """Return a child of two genotypes within the bounds."""
        return self._within(lambda: self._space.crossover(first, second, rng), rng)

    def neighbors(self, genotype: Any, /) -> Iterator[Any]:
        """Yield every genotype one mutation away that is within the bounds."""
        for neighbor in self._space.neighbors(genotype):
            self.drawn += 1
            if not self._excess(neighbor):
                self.proposed += 1
                yield neighbor

    def canonical(self, genotype: Any, /) -> str:
        """Return a text that is equal exactly for genotypes of the same network."""
        return self._space.canonical(genotype)

    def _within(self, draw: Callable[[], Any], rng: np.random.Generator) -> Any:
        self.proposed += 1
        nearest, least = None, float("inf")
        for _ in range(TRIES):
            genotype = draw()
            self.drawn += 1
            excess = self._excess(genotype)
            if not excess:
                return genotype
            if nearest is None or excess < least:
                nearest, least = genotype, excess
        self.repaired += 1
        return self._repaired(nearest, least, rng)

    def _repaired(self, genotype: Any, excess: float, rng: np.random.Generator) -> Any:
        for _ in range(STEPS):
            child = self._space.mutate(genotype, rng)
            self.drawn += 1
            reached = self._excess(child)
            if reached <= excess:
                genotype, excess = child, reached
            if not excess:
                break
        return genotype
