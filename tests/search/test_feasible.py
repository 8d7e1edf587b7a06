"""Moves within bounds: never outside where a way back exists, and distributed as before."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nas_search.costs import At
from nas_search.scoring import Constraints
from nas_search.search import ALGORITHMS, FeasibleGenotypes
from nas_search.search.feasible import STEPS, TRIES
from nas_search.spaces import SPACES


class Numbers:
    """The integers below 1000; a mutation is a step of one."""

    def sample(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1000))

    def mutate(self, genotype: int, /, rng: np.random.Generator) -> int:
        return int(np.clip(genotype + rng.choice([-1, 1]), 0, 999))

    def crossover(self, first: int, second: int, /, rng: np.random.Generator) -> int:
        return (first + second) // 2

    def neighbors(self, genotype: int, /) -> list[int]:
        return [n for n in (genotype - 1, genotype + 1) if 0 <= n < 1000]

    def canonical(self, genotype: int, /) -> str:
        return str(genotype)


def below(bound: int) -> FeasibleGenotypes:
    return FeasibleGenotypes(Numbers(), lambda genotype: float(max(0, genotype - bound)))


def test_samples_are_uniform_within_the_bounds() -> None:
    space, rng = below(3), np.random.default_rng(0)
    counts = Counter(space.sample(rng) for _ in range(400))
    drawn = [counts[n] for n in range(4)]
    # Chi-square with 3 degrees of freedom, at the 99.9% quantile; repairs all end at the bound.
    expected = (400 - space.repaired) / 4
    drawn[3] -= space.repaired
    assert set(counts) == {0, 1, 2, 3}
    assert sum((one - expected) ** 2 / expected for one in drawn) < 16.3
    # Of 1000 numbers 4 are allowed: all but one in 250 draws is wasted, about 45% need a repair.
    assert 0.98 < space.wasted < 1


def test_children_stay_within_and_a_parent_from_outside_finds_back() -> None:
    space, rng = below(100), np.random.default_rng(0)
    assert all(space.mutate(100, rng) == 99 for _ in range(20))
    assert space.crossover(90, 200, rng) <= 100  # 145 is repaired
    assert space.repaired == 1


def test_where_no_way_leads_back_the_search_for_one_ends() -> None:
    space, rng = below(-1), np.random.default_rng(0)
    assert space.sample(rng) >= 0
    assert space.drawn == TRIES + STEPS


@pytest.mark.parametrize(
    "name",
    [
        *("darts", "nasbench101", "nasbench201"),
        *("nas_bench_macro", "nats_size", "transnas_macro", "transnas_micro"),
    ],
)
def test_no_proposal_of_a_search_breaks_a_bound(name: str) -> None:
    space, rng = SPACES.get(name).space(), np.random.default_rng(0)
    at = At((3, 8, 8), 10, dict(SPACES.get(name).narrow))
    count = [space.cost(space.sample(rng), at.input_shape, 10, **at.macro) for _ in range(60)]
    params = sorted(cost.params for cost in count)
    bounds = Constraints({"max_params": params[12], "min_params": params[3]})

    def excess(genotype: object) -> float:
        cost = space.cost(genotype, at.input_shape, at.num_classes, **at.macro)
        return bounds.excess({"params": cost.params})

    record = ALGORITHMS.get("regularized_evolution")
    within = FeasibleGenotypes(space, excess)
    algorithm = record.algorithm(within, rng, "params", record.options(population=8, tournament=3))
    genotypes = algorithm.ask(8)
    assert not any(map(excess, genotypes))
    assert 0 < within.wasted < 0.98
