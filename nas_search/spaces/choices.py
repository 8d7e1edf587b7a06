"""Search spaces whose genotype is a sequence of choices: one of several names per position."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.base import CellGraph, Parameter, SearchSpace
from nas_search.spaces.text_form import unwrap


@dataclass(frozen=True)
class Choices:
    """A genotype: one name per position; ``str`` joins them by bars, ``conv|skip``."""

    choices: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.choices)


C = TypeVar("C", bound=Choices)


class ChoiceSpace(SearchSpace[C]):
    """All sequences of one choice per position; a subclass defines :meth:`build`.

    Attributes:
        positions: the possible names per position, 1 or more, and 2 or more at some position.
            Names contain no bar and no white space.
        labels: what the positions are called in features; none where numbers will do.
        genotype: makes a genotype of one name per position.
    """

    positions: Sequence[Sequence[str]]
    labels: Sequence[str] = ()
    # A subclass that binds C to another kind of genotype sets it here.
    genotype: type[C] = Choices  # type: ignore[assignment]

    @property
    def size(self) -> int:
        """Number of genotypes: the product of the numbers of names."""
        return math.prod(map(len, self.positions))

    def sample(self, rng: np.random.Generator) -> C:
        """Return a genotype drawn uniformly from all of them."""
        drawn = rng.integers([len(names) for names in self.positions]).tolist()
        pairs = zip(self.positions, drawn, strict=True)
        return self.genotype(tuple(names[i] for names, i in pairs))

    def crossover(self, first: C, second: C, rng: np.random.Generator) -> C:
        """Return a child that takes each choice from a random parent."""
        coins = rng.integers(2, size=len(self.positions)).tolist()
        pairs = zip(first.choices, second.choices, coins, strict=True)
        return self.genotype(tuple(b if coin else a for a, b, coin in pairs))

    def neighbors(self, genotype: C) -> Iterator[C]:
        """Yield the genotypes that differ in one choice."""
        for position, name in self._moves(genotype):
            yield self._replaced(genotype, position, name)

    def mutate(self, genotype: C, rng: np.random.Generator) -> C:
        """Return a genotype that differs in one choice, drawn uniformly."""
        moves = list(self._moves(genotype))
        return self._replaced(genotype, *moves[int(rng.integers(len(moves)))])

    def expressed(self, genotype: C) -> tuple[str | None, ...]:
        """Return the name per position; None where it makes no difference to the network.

        Features of structure are taken of them: where several genotypes are the same network, they
        are those of one.
        """
        return genotype.choices

    def places(self) -> Sequence[str]:
        """Return a name per position."""
        return self.labels or [f"choice{number}" for number in range(1, len(self.positions) + 1)]

    def parameters(self, genotype: C) -> Mapping[str, Parameter]:
        """Return the choices that make a difference, by position."""
        rows = zip(self.places(), self.expressed(genotype), self.positions, strict=True)
        return {place: (name, tuple(names)) for place, name, names in rows if name is not None}

    def parse(self, text: str) -> C:
        """Return the genotype written as names joined by bars.

        Raises:
            InputError: there are too few or too many names, or one is impossible at its position.
        """
        row = tuple(name.strip() for name in unwrap(text).split("|"))
        if len(row) != len(self.positions):
            raise InputError(
                f"{self.name}: expected {len(self.positions)} names joined by '|', got {len(row)} "
                f"in {quote(text)}"
            )
        for number, (name, names) in enumerate(zip(row, self.positions, strict=True), 1):
            if name not in names:
                raise InputError(
                    f"{self.name}, position {number}: unknown {quote(name)}; possible: "
                    f"{', '.join(names)}"
                )
        return self.genotype(row)

    def graphs(self, genotype: C) -> tuple[CellGraph, ...]:
        """Return the choices as a chain; a subclass overrides it for other graphs."""
        return (CellGraph.chain(self.name, genotype.choices),)

    def _moves(self, genotype: C) -> Iterator[tuple[int, str]]:
        """Yield each position with each name that may replace the one there."""
        for position, (old, names) in enumerate(zip(genotype.choices, self.positions, strict=True)):
            index = names.index(old)
            for name in (*names[index + 1 :], *names[:index]):
                yield position, name

    def _replaced(self, genotype: C, position: int, name: str) -> C:
        row = genotype.choices
        return self.genotype((*row[:position], name, *row[position + 1 :]))
