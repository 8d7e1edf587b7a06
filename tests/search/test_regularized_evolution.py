"""Regularized evolution keeps the invariants of Real et al.'s algorithm on a toy landscape."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean
from typing import Any

import numpy as np
import pytest
from deap import tools

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.search import ALGORITHMS, Algorithm, Budget, run_loop
from nas_search.search.individual import Fitness, Individual
from nas_search.search.regularized_evolution import (
    RegularizedEvolution,
    RegularizedEvolutionOptions,
    select_tournament,
)
from tests.search.toy import Hill, Tape, ToySpace, Word, distance, drive

SPACE = ToySpace()


def evolution(
    seed: int = 0, population: int = 10, tournament: int = 4, crossover: float = 0.0
) -> RegularizedEvolution:
    options = RegularizedEvolutionOptions(population, tournament, crossover)
    return RegularizedEvolution(SPACE, np.random.default_rng(seed), "hill", options)


def algorithm(name: str, space: ToySpace, seed: int) -> Algorithm:
    record = ALGORITHMS.get(name)
    options = record.options(**({"population": 10, "tournament": 4} if "evo" in name else {}))
    return record.algorithm(space, np.random.default_rng(seed), "hill", options)


def naive(seed: int, population: int, tournament: int, children: int) -> list[Word]:
    """Algorithm 1 of the paper, line by line; a network is proposed once."""
    rng = np.random.default_rng(seed)
    seen: set[str] = set()
    alive: list[Word] = []
    history: list[Word] = []

    def new(draw: Callable[[], Word]) -> Word:
        while True:
            word = draw()
            if SPACE.canonical(word) not in seen:
                seen.add(SPACE.canonical(word))
                history.append(word)
                return word

    while len(alive) < population:
        alive.append(new(lambda: SPACE.sample(rng)))
    for _ in range(children):

        def child() -> Word:
            drawn = rng.choice(len(alive), size=tournament, replace=False)
            return SPACE.mutate(max((alive[i] for i in drawn), key=sum), rng)

        alive.append(new(child))
        del alive[0]
    return history


@pytest.mark.parametrize("seed", range(5))
def test_evolution_equals_the_published_algorithm(seed: int) -> None:
    outcome = run_loop(evolution(seed, 10, 4), Hill(SPACE), Budget(60), Tape())
    assert [e.genotype for e in outcome.evaluations] == [str(w) for w in naive(seed, 10, 4, 50)]


@pytest.mark.parametrize("batch", [1, 3])
def test_population_is_the_last_scored_individuals(batch: int) -> None:
    search, hill = evolution(), Hill(SPACE, faulty=True)
    scored: list[Word] = []
    for alive, words in drive(search, hill, 60, batch):
        assert alive == scored[-10:]
        scored += [word for word in words if hill.one(word).status == "ok"]
    assert [i.genotype for i in search.population] == scored[-10:]  # oldest first
    assert len(search.population) == 10


def test_child_is_one_mutation_away_from_an_individual_alive() -> None:
    children = [step for step in drive(evolution(), Hill(SPACE), 200) if len(step[0]) == 10]
    assert len(children) == 190
    for alive, (child,) in children:
        assert min(distance(child, parent) for parent in alive) == 1


def test_crossover_mixes_two_individuals_alive_before_mutation() -> None:
    search = evolution(crossover=1.0)
    children = [step for step in drive(search, Hill(SPACE), 200) if len(step[0]) == 10]
    far = 0
    for alive, (child,) in children:
        strange = [d for place, d in enumerate(child) if all(d != w[place] for w in alive)]
        assert len(strange) <= 1  # all digits but the mutated one are inherited
        far += min(distance(child, parent) for parent in alive) > 1
    assert far > 5


def test_parent_is_the_best_of_a_tournament() -> None:
    individuals = [Individual((n,), str(n), Fitness((float(n),))) for n in range(10)]
    rng = np.random.default_rng(0)
    wins = [select_tournament(individuals, 4, rng).fitness.values[0] for _ in range(4000)]
    # The best of 4 out of 10 without replacement is never among the 3 worst and is the best of all
    # with probability 4/10.
    assert min(wins) == 3
    assert abs(wins.count(9) / 4000 - 0.4) < 0.04  # 5 standard deviations
    assert select_tournament(individuals, 10, rng) is individuals[9]


def test_tournament_does_not_change_other_generators() -> None:
    import random

    before = random.getstate()
    drive(evolution(), Hill(SPACE), 30)
    assert random.getstate() == before


def test_only_finite_scores_enter_the_population() -> None:
    search = evolution(population=3, tournament=2)
    words = search.ask(6)
    outcomes = [
        Evaluation(str(words[0]), "", "ok", {"hill": float("nan")}),
        Evaluation(str(words[1]), "", "ok", {"hill": float("inf")}),
        Evaluation(str(words[2]), "", "failed", {"hill": 9.0}, reason="a failure with a number"),
        Evaluation(str(words[3]), "", "ok", {"another": 1.0}),
        Evaluation(str(words[4]), "", "dead"),
        Evaluation(str(words[5]), "", "ok", {"hill": 1.0}),
    ]
    search.tell(outcomes)
    assert [i.genotype for i in search.population] == [words[5]]
    assert [i.genotype for i in search.hall_of_fame] == [words[5]]


@pytest.mark.parametrize("name", ["regularized_evolution", "random"])
def test_network_is_proposed_once(name: str) -> None:
    hill = Hill(SPACE)
    steps = drive(algorithm(name, SPACE, 0), hill, 300)
    keys = [SPACE.canonical(word) for _, words in steps for word in words]
    assert len(set(keys)) == len(keys) == 300


@pytest.mark.parametrize("name", ["regularized_evolution", "random"])
def test_exhausted_space_ends_the_search(name: str) -> None:
    space = ToySpace(length=4, base=2)
    search = algorithm(name, space, 0)
    outcome = run_loop(search, Hill(space), Budget(1000), Tape(), batch=3)
    assert outcome.stop == "exhausted"
    assert {e.key for e in outcome.evaluations} == space.networks()
    assert len(outcome.evaluations) == len(space.networks()) == 10
    assert search.duplicates > 0


@pytest.mark.parametrize("name", ["regularized_evolution", "random"])
def test_hall_of_fame_and_logbook_describe_the_search(name: str) -> None:
    search = algorithm(name, SPACE, 0)
    outcome = run_loop(search, Hill(SPACE, faulty=True), Budget(80), Tape())
    scores = [e.scores["hill"] for e in outcome.evaluations if e.status == "ok"]
    fame = [i.fitness.values[0] for i in search.hall_of_fame]
    assert isinstance(search.hall_of_fame, tools.HallOfFame)
    assert fame == sorted(scores, reverse=True)[:100]
    assert isinstance(search.logbook, tools.Logbook)
    last = search.logbook[-1]
    alive = [i.fitness.values[0] for i in search.population]
    assert last["evaluations"] == len(outcome.evaluations)
    assert (last["min"], last["max"]) == (min(alive), max(alive))
    assert last["mean"] == pytest.approx(np.mean(alive))
    assert last["std"] == pytest.approx(np.std(alive))
    assert {"individual"} <= set(dir(search.toolbox))


def test_ask_and_tell_out_of_order_are_errors() -> None:
    search, hill = evolution(), Hill(SPACE)
    with pytest.raises(RuntimeError, match="ask"):
        search.tell([hill.one((0,) * 8)])
    words = search.ask(2)
    with pytest.raises(RuntimeError, match="twice"):
        search.ask(1)
    told = [hill.one(word) for word in words]
    for wrong in ([], told[:1], told[::-1], [*told, told[0]]):
        with pytest.raises(RuntimeError, match="order"):
            search.tell(wrong)
    search.tell(told)  # the mistakes above changed nothing
    assert len(search.population) == 2


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"population": 1}, "population=1"),
        ({"tournament": 0}, "tournament=0"),
        ({"population": 5, "tournament": 6}, "tournament=6"),
        ({"crossover": 1.5}, "crossover=1.5"),
        ({"crossover": float("nan")}, "crossover=nan"),
    ],
)
def test_errors_name_impossible_options(options: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=key):
        RegularizedEvolutionOptions(**options)


def test_evolution_scores_higher_than_random_search() -> None:
    def best(name: str, seed: int) -> float:
        outcome = run_loop(algorithm(name, SPACE, seed), Hill(SPACE), Budget(150), Tape())
        return max(e.scores["hill"] for e in outcome.evaluations)

    evolved = [best("regularized_evolution", seed) for seed in range(20)]
    drawn = [best("random", seed) for seed in range(20)]
    wins = sum(a > b for a, b in zip(evolved, drawn, strict=True))
    assert wins >= 18  # by luck alone: less than 1 in 4,000
    assert mean(evolved) > mean(drawn) + 3
