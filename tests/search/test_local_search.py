"""Local search against the published algorithm, line by line, on a toy landscape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import mean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.search import ALGORITHMS, Budget, run_loop
from nas_search.search.local_search import LocalSearch, LocalSearchOptions
from tests.search.toy import Hill, Tape, ToySpace, Word

SPACE = ToySpace(length=5, base=4)
law = settings(max_examples=30, deadline=None, derandomize=True, database=None)


class Bumpy(Hill):
    """A landscape with many optima: a hash of the network, on a slope."""

    def one(self, word: Word) -> Evaluation:
        made = super().one(word)
        if made.status != "ok":
            return made
        low = min(word, word[::-1])
        noise = sum((place + 2) ** 3 * (digit + 1) ** 2 for place, digit in enumerate(low)) % 37
        return Evaluation(made.genotype, made.key, "ok", {"hill": sum(word) + noise / 3})


def local_search(seed: int = 0, starts: int = 3) -> LocalSearch:
    options = LocalSearchOptions(starts)
    return LocalSearch(SPACE, np.random.default_rng(seed), "hill", options)


def search(
    evaluations: int,
    batch: int = 1,
    ahead: int = 1,
    recorded: Sequence[Evaluation] = (),
    faulty: bool = True,
) -> list[Evaluation]:
    budget, tape = Budget(evaluations), Tape(recorded)
    hill = Bumpy(SPACE, faulty=faulty)
    return run_loop(
        local_search(), hill, budget, tape, recorded=recorded, batch=batch, ahead=ahead
    ).evaluations


@cache
def long() -> list[Evaluation]:
    return search(150)


def naive(seed: int, starts: int, evaluations: int) -> list[str]:
    """The published algorithm: a network is evaluated once, what is known of it counts."""
    rng, hill = np.random.default_rng(seed), Bumpy(SPACE, faulty=True)
    seen: dict[str, float | None] = {}
    history: list[str] = []
    counted = 0

    def evaluate(word: Word) -> float | None:
        nonlocal counted
        made = hill.one(word)
        seen[made.key] = made.scores.get("hill")
        history.append(made.genotype)
        counted += made.status != "rejected"
        return seen[made.key]

    while counted < evaluations:
        begun: list[tuple[float, int, Word]] = []
        while len(begun) < starts and counted < evaluations:
            word = SPACE.sample(rng)
            if SPACE.canonical(word) not in seen:
                value = evaluate(word)
                if value is not None:
                    begun.append((value, -len(begun), word))
        value, _, current = max(begun)
        while counted < evaluations:
            around: dict[str, Word] = {}
            for word in SPACE.neighbors(current):
                around.setdefault(SPACE.canonical(word), word)
            new = [word for key, word in around.items() if key not in seen]
            for place in rng.permutation(len(new)):
                if counted < evaluations:
                    evaluate(new[place])
            known = [(s, word) for key, word in around.items() if (s := seen.get(key)) is not None]
            if not known:
                break
            best, there = max(known, key=lambda pair: pair[0])
            if best <= value:
                break
            value = best
            current = next(
                w for text in history if (w := tuple(map(int, text.strip("()").split(", "))))
                if SPACE.canonical(w) == SPACE.canonical(there)
            )  # fmt: skip
    return history


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_published_algorithm(seed: int) -> None:
    hill = Bumpy(SPACE, faulty=True)
    found = run_loop(local_search(seed, 3), hill, Budget(150), Tape()).evaluations
    assert [e.genotype for e in found] == naive(seed, 3, 150)


@law
@given(st.integers(1, 20), st.integers(1, 300), st.integers(0, 150))
def test_neither_batch_nor_lookahead_nor_interruption_changes_the_history(
    batch: int, ahead: int, stopped: int
) -> None:
    assert search(150, batch, ahead, long()[:stopped]) == long()


def test_history_of_a_smaller_budget_begins_that_of_a_larger_one() -> None:
    assert search(60) == long()[: len(search(60))]


def test_it_starts_anew_at_an_optimum_and_ends_with_the_space() -> None:
    found = search(10_000)
    assert {e.key for e in found} == SPACE.networks()
    assert len(found) == len(SPACE.networks())


def test_networks_are_proposed_once_and_failed_ones_are_never_climbed() -> None:
    made, hill = local_search(), Bumpy(SPACE, faulty=True)
    keys: list[str] = []
    for _ in range(200):
        words: list[Any] = made.ask(1)
        keys += map(SPACE.canonical, words)
        made.tell([hill.one(word) for word in words])
        alive: list[Any] = [individual.genotype for individual in made.population]
        assert all(hill.one(word).status == "ok" for word in alive)
    assert len(set(keys)) == 200


def test_it_scores_higher_than_random_search() -> None:
    def best(name: str, seed: int) -> float:
        record = ALGORITHMS.get(name)
        space = ToySpace()
        made = record.algorithm(space, np.random.default_rng(seed), "hill", record.options())
        outcome = run_loop(made, Hill(space), Budget(150), Tape())
        return max(e.scores["hill"] for e in outcome.evaluations)

    climbed = [best("local_search", seed) for seed in range(10)]
    drawn = [best("random", seed) for seed in range(10)]
    assert sum(a > b for a, b in zip(climbed, drawn, strict=True)) >= 9
    assert mean(climbed) > mean(drawn) + 3


def test_errors_name_impossible_options() -> None:
    with pytest.raises(InputError, match="starts=0 must be 1 or more"):
        LocalSearchOptions(0)
