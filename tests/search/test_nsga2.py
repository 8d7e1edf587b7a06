"""NSGA-II with ask and tell: its generations, its history, and the front that it finds."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective, parse_objective, values_of
from nas_search.search import ALGORITHMS, Algorithm, Budget, run_loop
from nas_search.search.fronts import front_numbers, hypervolume, losses
from nas_search.search.individual import Individual, fitness_of
from nas_search.search.nsga2 import Nsga2, Nsga2Options
from tests.search.toy import Hill, Tape, ToySpace, Word, distance, drive

SPACE = ToySpace(length=6, base=5)
OBJECTIVES = (Objective("hill"), Objective("macs", minimize=True))
law = settings(max_examples=30, deadline=None, derandomize=True, database=None)


class Steep(Hill):
    """The sum of the digits against the sum of their squares: even words are the best of both."""

    def one(self, word: Any) -> Evaluation:
        return replace(super().one(word), macs=sum(digit * digit for digit in word))


def nsga2(seed: int = 0, population: int = 12, crossover: float = 0.9) -> Nsga2:
    options = Nsga2Options(population, crossover)
    return Nsga2(SPACE, np.random.default_rng(seed), OBJECTIVES, options)


def search(
    evaluations: int,
    batch: int = 1,
    ahead: int = 1,
    recorded: Sequence[Evaluation] = (),
    made: Algorithm | None = None,
) -> list[Evaluation]:
    hill, tape = Steep(SPACE, faulty=True), Tape(recorded)
    budget = Budget(evaluations)
    outcome = run_loop(
        made or nsga2(), hill, budget, tape, recorded=recorded, batch=batch, ahead=ahead
    )
    return outcome.evaluations


@cache
def long() -> list[Evaluation]:
    return search(120)


@law
@given(st.integers(1, 20), st.integers(1, 300), st.integers(0, 120))
def test_neither_batch_nor_lookahead_nor_interruption_changes_the_history(
    batch: int, ahead: int, stopped: int
) -> None:
    assert search(120, batch, ahead, long()[:stopped]) == long()


def test_history_of_a_smaller_budget_begins_that_of_a_larger_one() -> None:
    assert any(e.status == "failed" for e in long())
    assert search(50) == long()[: len(search(50))]


def test_parents_are_those_that_the_selection_of_the_paper_keeps() -> None:
    """Of parents and children whole fronts are kept, and of the last one the loneliest."""
    made, hill = nsga2(), Steep(SPACE, faulty=True)
    parents: list[Individual] = []
    generation: list[Individual] = []
    turns = 0
    for _ in range(300):
        (word,) = made.ask(1)
        evaluation = hill.one(word)
        made.tell([evaluation])
        values = values_of(OBJECTIVES, evaluation)
        if values is not None:
            generation.append(Individual(word, evaluation.key, fitness_of(OBJECTIVES)(values)))
        if len(generation) < 12 or values is None:
            continue
        pool, generation, turns = parents + generation, [], turns + 1
        numbers = front_numbers(losses(OBJECTIVES, [i.fitness.values for i in pool]))
        kept = {i.genotype for i in made.population}
        parents = [i for i in pool if i.genotype in kept]
        assert len(parents) == 12
        cut = max(n for i, n in zip(pool, numbers, strict=True) if i.genotype in kept)
        for front in range(1, cut):
            assert all(i.genotype in kept for i, n in zip(pool, numbers, strict=True) if n == front)
        last = [i for i, n in zip(pool, numbers, strict=True) if n == cut]
        tools.emo.assignCrowdingDist(last)
        lonely = [i.fitness.crowding_dist for i in last if i.genotype in kept]
        others = [i.fitness.crowding_dist for i in last if i.genotype not in kept]
        if len({i.fitness.values for i in last}) == len(last):  # the distance of twins is arbitrary
            assert min(lonely) >= max(others, default=0.0)
    assert turns > 10


@pytest.mark.parametrize("crossover", [0.0, 1.0])
def test_children_are_mutations_of_parents_or_of_their_children(crossover: float) -> None:
    made = nsga2(crossover=crossover)
    steps = [step for step in drive(made, Steep(SPACE), 200) if len(step[0]) == 12]
    far = 0
    for parents, (child,) in steps[12:]:
        strange = [d for place, d in enumerate(child) if all(d != w[place] for w in parents)]
        assert len(strange) <= 1
        far += min(distance(child, parent) for parent in parents) > 1
    assert (far > 5) == bool(crossover)


def test_all_tournaments_of_a_round_are_drawn_from_the_seed_alone() -> None:
    random.seed(3)
    before = random.getstate()
    first = search(120)
    assert random.getstate() == before
    random.seed(4)
    assert search(120) == first
    assert search(120, made=nsga2(1)) != first


def test_nan_and_failures_never_enter_a_generation_or_the_front() -> None:
    made = nsga2(population=4)
    words = made.ask(8)
    made.tell(
        [
            Evaluation(str(words[0]), "", "ok", {"hill": float("nan")}, macs=1),
            Evaluation(str(words[1]), "", "ok", {"hill": float("inf")}, macs=1),
            Evaluation(str(words[2]), "", "failed", {"hill": 9.0}, macs=1, reason="it fell"),
            Evaluation(str(words[3]), "", "ok", {"hill": 1.0}),  # macs are not known
            Evaluation(str(words[4]), "", "dead", macs=1),
            Evaluation(str(words[5]), "", "rejected", macs=1),
            Evaluation(str(words[6]), "", "ok", {"another": 1.0}, macs=1),
            Evaluation(str(words[7]), "", "ok", {"hill": 1.0}, macs=5),
        ]
    )
    assert [i.genotype for i in made.population] == [words[7]]
    assert [i.genotype for i in made.hall_of_fame] == [words[7]]


def points(evaluations: Sequence[Evaluation]) -> np.ndarray:
    values = [values_of(OBJECTIVES, evaluation) for evaluation in evaluations]
    return losses(OBJECTIVES, [one for one in values if one is not None])


def test_it_finds_more_of_the_front_than_chance() -> None:
    words: list[Word] = [
        tuple(int(digit) for digit in np.base_repr(number, 5).zfill(6)) for number in range(5**6)
    ]
    everything = points([Steep(SPACE).one(word) for word in words])
    front = everything[front_numbers(everything) == 1]

    def volume(name: str, seed: int) -> float:
        record = ALGORITHMS.get(name)
        options = record.options()
        made = record.algorithm(SPACE, np.random.default_rng(seed), OBJECTIVES, options)
        outcome = run_loop(made, Steep(SPACE), Budget(400), Tape())
        return hypervolume(points(outcome.evaluations), front)

    evolved = [volume("nsga2", seed) for seed in range(10)]
    drawn = [volume("random", seed) for seed in range(10)]
    assert sum(a > b for a, b in zip(evolved, drawn, strict=True)) >= 9
    assert hypervolume(front, front) >= max(evolved)


def test_the_hall_of_fame_is_the_front_of_all() -> None:
    made = nsga2()
    found = [e for e in search(150, made=made) if e.status == "ok"]
    numbers = front_numbers(points(found))
    best = {e.key for e, number in zip(found, numbers, strict=True) if number == 1}
    assert {i.key for i in made.hall_of_fame} == best


def test_an_exhausted_space_ends_the_search() -> None:
    space = ToySpace(length=4, base=2)
    made = Nsga2(space, np.random.default_rng(0), OBJECTIVES, Nsga2Options(4))
    outcome = run_loop(made, Steep(space), Budget(1000), Tape(), ahead=3)
    assert outcome.stop == "exhausted"
    assert {e.key for e in outcome.evaluations} == space.networks()


@law
@given(
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40)
)  # many ties, in which sortings go wrong
def test_the_fast_sorting_of_fronts_is_right(values: list[tuple[int, int, int]]) -> None:
    objectives = (Objective("a"), Objective("b", True), Objective("c"))
    made = [Individual(n, str(n), fitness_of(objectives)(v)) for n, v in enumerate(values)]
    numbers = front_numbers(losses(objectives, values))
    fronts = tools.sortLogNondominated(made, len(made))
    assert [sorted(i.genotype for i in front) for front in fronts] == [
        np.flatnonzero(numbers == n + 1).tolist() for n in range(len(fronts))
    ]


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"population": 3}, "population=3 must be 4 or more"),
        ({"crossover": 1.5}, "crossover=1.5"),
        ({"crossover": float("nan")}, "crossover=nan"),
    ],
)
def test_errors_name_impossible_options(options: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=key):
        Nsga2Options(**options)


def test_an_objective_is_written_as_it_is_read() -> None:
    for text, objective in {
        "gradalign": Objective("gradalign"),
        "min:depth": Objective("depth", True),
        "max:params": Objective("params"),
        "min:macs": Objective("macs", True),
    }.items():
        assert parse_objective(text) == objective
        assert parse_objective(str(objective)) == objective


def batches(evaluations: int) -> Iterator[int]:
    """Yield how many candidates are asked for at once."""
    sizes: list[int] = []

    def evaluate(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        sizes.append(stop - start)
        return Steep(SPACE)(words, start, stop)

    run_loop(nsga2(), evaluate, Budget(evaluations), Tape(), ahead=256)
    yield from sizes


def test_a_whole_generation_is_evaluated_at_once() -> None:
    assert list(batches(40)) == [12, 12, 12, 4]
