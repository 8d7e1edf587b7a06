"""Spaces whose genotype is a row of choices: one of several names at each position."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nas_search.core.errors import InputError
from nas_search.spaces.base import CellEdge, CellGraph, SearchSpace
from nas_search.spaces.text_form import quote


@dataclass(frozen=True)
class Choices:
    """A genotype: the name chosen at each position; ``str`` joins them by bars, ``conv|skip``."""

    choices: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.choices)


C = TypeVar("C", bound=Choices)


class ChoiceSpace(SearchSpace[C]):
    """All rows of one choice per position; what is left to define is :meth:`build`.

    Attributes:
        positions: of each position the names to choose from, 1 or more; together they leave a
            choice. Names have no bar and no white space.
        genotype: makes a genotype of one name per position.
    """

    positions: Sequence[Sequence[str]]
    # A subclass that binds C to another kind of genotype says here which.
    genotype: type[C] = Choices  # type: ignore[assignment]

    @property
    def size(self) -> int:
        """Number of rows: the product of the numbers of names."""
        return math.prod(map(len, self.positions))

    def sample(self, rng: np.random.Generator) -> C:
        """Return a row drawn uniformly from all of them."""
        drawn = rng.integers([len(names) for names in self.positions]).tolist()
        pairs = zip(self.positions, drawn, strict=True)
        return self.genotype(tuple(names[i] for names, i in pairs))

    def crossover(self, first: C, second: C, rng: np.random.Generator) -> C:
        """Return a child that takes each choice from either parent by a fair coin."""
        coins = rng.integers(2, size=len(self.positions)).tolist()
        pairs = zip(first.choices, second.choices, coins, strict=True)
        return self.genotype(tuple(b if coin else a for a, b, coin in pairs))

    def neighbors(self, genotype: C) -> Iterator[C]:
        """Yield the rows that differ in one choice."""
        for position, name in self._moves(genotype):
            yield self._replaced(genotype, position, name)

    def mutate(self, genotype: C, rng: np.random.Generator) -> C:
        """Return one of the rows that differ in one choice, drawn uniformly."""
        moves = list(self._moves(genotype))
        return self._replaced(genotype, *moves[int(rng.integers(len(moves)))])

    def parse(self, text: str) -> C:
        """Return the row written as the names joined by bars.

        Raises:
            InputError: a name is missing, too many, or not possible at its position.
        """
        row = tuple(name.strip() for name in text.split("|"))
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
        """Return the choices one after the other; to be defined anew where they are not a chain."""
        nodes = tuple(map(str, range(len(genotype.choices) + 1)))
        edges = tuple(map(CellEdge, nodes, nodes[1:], genotype.choices))
        return (CellGraph(self.name, nodes[:1], nodes[-1], nodes, edges),)

    def _moves(self, genotype: C) -> Iterator[tuple[int, str]]:
        """Yield each position with each name that could stand there instead."""
        for position, (old, names) in enumerate(zip(genotype.choices, self.positions, strict=True)):
            at = names.index(old)
            for name in (*names[at + 1 :], *names[:at]):
                yield position, name

    def _replaced(self, genotype: C, position: int, name: str) -> C:
        row = genotype.choices
        return self.genotype((*row[:position], name, *row[position + 1 :]))
