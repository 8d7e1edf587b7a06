"""Parents of what algorithms propose: one mutation away, proposed before, on every route."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.search import ALGORITHMS
from nas_search.search.lineage import RememberedMoves, parents_by_number
from nas_search.spaces import SPACES

SPACE = SPACES.get("nasbench201").space()


def history(name: str, count: int, **options: Any) -> tuple[Any, list[Evaluation]]:
    record = ALGORITHMS.get(name)
    several = (Objective("score"), Objective("cost", minimize=True))
    objectives = several if record.objectives[0] > 1 else several[:1]
    algorithm = record.algorithm(
        SPACE, np.random.default_rng(0), objectives, record.options(**options)
    )
    told: list[Evaluation] = []
    while len(told) < count:
        batch = [
            Evaluation(
                str(g),
                SPACE.canonical(g),
                "ok",
                {"score": str(g).count("nor_conv_3x3") + len(str(g)) / 1e3},
                costs={"cost": float(str(g).count("nor_conv"))},
            )
            for g in algorithm.ask(1)
        ]
        algorithm.tell(batch)
        told += batch
    return algorithm, told


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("regularized_evolution", {"population": 6, "tournament": 2}),
        ("nsga2", {"population": 8}),
        ("local_search", {"starts": 3}),
    ],
)
def test_a_child_is_one_mutation_away_from_its_parent(name: str, options: dict[str, Any]) -> None:
    algorithm, told = history(name, 60, **options)
    parents = parents_by_number(algorithm.parents, told)
    genotypes = [SPACE.parse(evaluation.genotype) for evaluation in told]
    children = [(n, older) for n, older in enumerate(parents) if older]
    assert len(children) > 30
    for n, older in children:
        assert len(older) == 1 and older[0] <= n
        assert genotypes[n] in set(SPACE.neighbors(genotypes[older[0] - 1]))


def test_random_candidates_have_no_parents() -> None:
    algorithm, told = history("random", 20)
    assert parents_by_number(algorithm.parents, told) == [[]] * 20


def test_a_crossing_before_a_mutation_is_looked_through() -> None:
    options = {"population": 6, "tournament": 2, "crossover": 1.0}
    algorithm, told = history("regularized_evolution", 60, **options)
    parents = parents_by_number(algorithm.parents, told)
    assert parents[:6] == [[]] * 6
    assert {len(older) for older in parents[6:]} == {1, 2}
    assert all(number <= n for n, older in enumerate(parents) for number in older)


def test_moves_are_those_of_the_space() -> None:
    moves, rng, same = RememberedMoves(SPACE), np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(20):
        genotype = moves.sample(rng)
        assert genotype == SPACE.sample(same)
        assert moves.mutate(genotype, rng) == SPACE.mutate(genotype, same)
