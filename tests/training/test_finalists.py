from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.spaces import SPACES, SearchSpace
from nas_search.training.choice import FinalistsConfig, choose_finalists, edit_distance, rungs


def ranked(
    space: SearchSpace[Any], rng: np.random.Generator, n: int
) -> list[tuple[int, Evaluation]]:
    """Return n scored genotypes, best first, many of them near-duplicates or duplicates."""
    genotypes = [space.sample(rng)]
    while len(genotypes) < n:
        parent = genotypes[int(rng.integers(len(genotypes)))]
        genotypes.append(space.mutate(parent, rng) if rng.random() < 0.7 else parent)
    return [
        (i, Evaluation(str(g), space.canonical(g), "ok", {"s": -float(i)}))
        for i, g in enumerate(genotypes, 1)
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["darts", "nasbench201", "nasbench101"]),
    st.integers(0, 999),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_finalists_are_the_best_that_differ_enough(
    name: str, seed: int, k: int, distance: int
) -> None:
    space = SPACES.get(name).space()
    given_ = ranked(space, np.random.default_rng(seed), 25)
    chosen = choose_finalists(space, given_, k, distance)
    keys = [e.key for _, e in chosen]
    different = {e.key for _, e in given_}
    assert len(keys) == len(set(keys)) == min(k, len(different))
    assert chosen[0] == given_[0]
    numbers = [n for n, _ in chosen]
    assert numbers == sorted(numbers)
    # Naive greedy choice: if enough are far apart, the finalists are exactly these.
    first = {e.key: (n, e) for n, e in reversed(given_)}  # of one network, the first writing
    far: list[tuple[int, Evaluation]] = []
    for item in sorted(first.values(), key=lambda pair: pair[0]):
        genotype = space.parse(item[1].genotype)
        others = [space.parse(e.genotype) for _, e in far]
        if all(edit_distance(space, genotype, o) >= distance for o in others):
            far.append(item)
    if len(far) >= k:
        assert chosen == far[:k]
    else:
        assert {n for n, _ in far} <= set(numbers)


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_mutation_has_edit_distance_one(name: str) -> None:
    space, rng = SPACES.get(name).space(), np.random.default_rng(0)
    for _ in range(50):
        genotype = space.sample(rng)
        assert edit_distance(space, genotype, genotype) == 0
        assert edit_distance(space, genotype, space.mutate(genotype, rng)) == 1


def test_rungs_are_those_of_successive_halving() -> None:
    assert rungs(81, 27, 3) == [(3, 9), (9, 3), (27, 1), (81, 1)]
    assert rungs(20, 5, 3) == [(2, 3), (6, 1), (20, 1)]
    assert rungs(20, 5, 0) == [(20, 1)]


@given(st.integers(1, 300), st.integers(1, 50), st.integers(2, 5))
def test_rungs_have_rising_epochs_and_fewer_survivors(epochs: int, count: int, eta: int) -> None:
    plan = rungs(epochs, count, eta)
    assert plan[-1] == (epochs, 1)
    assert [e for e, _ in plan] == sorted({e for e, _ in plan})
    left = [count, *(n for _, n in plan)]
    assert all(after <= before for before, after in pairwise(left))
    assert all(n < count for _, n in plan[:-1])  # no rung that lets everybody go on


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k": -1}, "finalists.k=-1"),
        ({"distance": 0}, "finalists.distance=0"),
        ({"halving": 1}, "finalists.halving=1"),
        ({"seeds": []}, "finalists.seeds"),
        ({"seeds": [1, 1]}, "finalists.seeds"),
        ({"export": ["tflite"]}, "possible: pt2, onnx"),
    ],
)
def test_errors_name_impossible_values(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FinalistsConfig(**values)
