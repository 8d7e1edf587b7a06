"""A search space without torch: words of small numbers, and a hill to climb."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.search import Algorithm

Word = tuple[int, ...]


class ToySpace:
    """Words of ``length`` digits below ``base``; a word and its reverse are the same network."""

    name = "toy"

    def __init__(self, length: int = 8, base: int = 6) -> None:
        self.length, self.base = length, base

    def sample(self, rng: np.random.Generator) -> Word:
        return tuple(rng.integers(self.base, size=self.length).tolist())

    def mutate(self, word: Word, rng: np.random.Generator) -> Word:
        place, step = int(rng.integers(self.length)), int(rng.integers(1, self.base))
        return (*word[:place], (word[place] + step) % self.base, *word[place + 1 :])

    def neighbors(self, word: Word) -> Iterator[Word]:
        for place, digit in enumerate(word):
            for other in range(self.base):
                if other != digit:
                    yield (*word[:place], other, *word[place + 1 :])

    def crossover(self, first: Word, second: Word, rng: np.random.Generator) -> Word:
        coins = rng.integers(2, size=self.length).tolist()
        return tuple((a, b)[coin] for a, b, coin in zip(first, second, coins, strict=True))

    def canonical(self, word: Word) -> str:
        return str(min(word, word[::-1]))

    def networks(self) -> set[str]:
        words = itertools.product(range(self.base), repeat=self.length)
        return {self.canonical(word) for word in words}


def distance(first: Word, second: Word) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


class Hill:
    """Scores words by their sum; the word decides whether it is rejected, dead or failed.

    Args:
        faulty: whether a third of the words have no score.
    """

    def __init__(self, space: ToySpace, faulty: bool = False) -> None:
        self.space, self.faulty = space, faulty
        self.calls: list[Word] = []

    def __call__(
        self, words: Sequence[Any], start: int = 0, stop: int | None = None
    ) -> Iterator[Evaluation]:
        for word in words[start:stop]:
            self.calls.append(word)
            yield self.one(word)

    def one(self, word: Any) -> Evaluation:
        text, key = str(word), self.space.canonical(word)
        kind = sum(place * digit for place, digit in enumerate(word)) % 9 if self.faulty else 8
        if kind == 0:
            return Evaluation(text, key, "rejected", reason="too large")
        if kind == 1:
            return Evaluation(text, key, "dead", reason="no path")
        if kind == 2:
            return Evaluation(text, key, "failed", reason="hill is nan")
        return Evaluation(text, key, "ok", {"hill": float(sum(word))}, params=1, macs=1)


class Tape:
    """The record of a run, in memory."""

    def __init__(self, recorded: Iterable[Evaluation] = ()) -> None:
        self.evaluations = list(recorded)
        self.elapsed: list[float] = []

    def append(self, evaluation: Evaluation, elapsed: float) -> None:
        self.evaluations.append(evaluation)
        self.elapsed.append(elapsed)


def drive(
    algorithm: Algorithm, hill: Hill, steps: int, batch: int = 1
) -> list[tuple[list[Any], list[Any]]]:
    """Ask and tell ``steps`` times; return for each (genotypes alive when asked, proposals)."""
    history = []
    for _ in range(steps):
        alive = [individual.genotype for individual in algorithm.population]
        words = algorithm.ask(batch)
        history.append((alive, words))
        algorithm.tell([hill.one(word) for word in words])
    return history
