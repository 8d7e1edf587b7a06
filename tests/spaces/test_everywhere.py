"""Spaces of published tables are scored, searched and trained like all others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas_search
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.features import graph_features
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, start_workers
from nas_search.search import ALGORITHMS
from nas_search.spaces import SPACES, builds_stacked
from tests.scoring.problem import task
from tests.training.made import architecture, recipe, stripes_data, training

NAMES = ("nas_bench_macro", "nats_size", "transnas_macro", "transnas_micro")
STACKED = ("nas_bench_macro", "transnas_micro")
SLOW = {"linear_regions", "epe_nas"}
"""The first has a test of its own, the second wants more images than a small batch has."""

MEASURED = tuple(record.name for record in PROXIES if record.name not in SLOW)
TEXTS = {
    "nas_bench_macro": ("12012012", "10201021"),
    "nats_size": ("8:16:8:24:8",),
    "transnas_macro": ("64-1234-basic",),
    "transnas_micro": ("64-41414-1_12_013", "64-41414-3_02_133"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_score_is_a_number(name: str) -> None:
    problem = task(SPACES.get(name).space(), proxies=MEASURED)
    (one,) = scored(problem, [problem.space.parse(TEXTS[name][0])], stack=1)
    assert one.status == "ok", one.reason
    assert set(one.scores) == set(MEASURED)
    assert all(np.isfinite(value) for value in one.scores.values())


@pytest.mark.parametrize("name", NAMES)
def test_scores_of_stacks_are_those_of_candidates_alone(name: str) -> None:
    problem = task(SPACES.get(name).space(), proxies=("gradalign", "gradalign_ii", "naswot"))
    assert builds_stacked(problem.space) == (name in STACKED)
    genotypes = [problem.space.parse(text) for text in TEXTS[name]]
    together = scored(problem, genotypes, stack=2)
    for one, other in zip(scored(problem, genotypes, stack=1), together, strict=True):
        assert one.status == other.status == "ok"
        assert other.scores == pytest.approx(one.scores, rel=2e-3)


def scored(problem: Any, genotypes: list[Any], stack: int) -> list[Evaluation]:
    workers = start_workers(Executor("inline", stack=stack), problem)
    try:
        return list(workers.evaluate(genotypes))
    finally:
        workers.close()


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS.names() if name != "guided"])
@pytest.mark.parametrize("name", (*NAMES, "conv1d", "nds_cells", "nds_residual"))
def test_every_algorithm_searches_it(name: str, algorithm: str) -> None:
    space = SPACES.get(name).space()
    record = ALGORITHMS.get(algorithm)
    wanted = ("macs",) if record.objectives[0] == 1 else ("macs", "params")
    objectives = [Objective(one) for one in wanted]
    search = record.algorithm(space, np.random.default_rng(0), objectives, record.options())
    told: list[float] = []
    for _ in range(40):
        proposals: list[Any] = search.ask(4)
        costs = [space.cost(one, (3, 16, 16), 10) for one in proposals]
        search.tell(
            [
                Evaluation(
                    str(one),
                    space.canonical(one),
                    "ok",
                    {"macs": float(cost.macs), "params": -float(cost.params)},
                    params=cost.params,
                    macs=cost.macs,
                )
                for one, cost in zip(proposals, costs, strict=True)
            ]
        )
        told += [float(cost.macs) for cost in costs]
    assert len(told) == 160
    if algorithm == "regularized_evolution":
        assert np.mean(told[-40:]) > 1.1 * np.mean(told[:40])


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    trained = training(tmp_path / "a", data, recipe(epochs=4, drop_path=0.1), space=name)
    trained.run(4, lambda *_: None)
    assert trained.log[-1].loss < trained.log[0].loss
    made = architecture(name, data)
    file = tmp_path / "best.json"
    file.write_text(json.dumps(made.as_dict()))
    network = nas_search.load(file).build()
    assert network(torch.zeros(2, *data.input_shape)).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_features_tell_networks_apart(name: str) -> None:
    space = SPACES.get(name).space()
    rng = np.random.default_rng(0)
    genotypes = {space.canonical(one): one for one in (space.sample(rng) for _ in range(200))}
    rows = graph_features(space, list(genotypes.values())).values
    assert len({row.tobytes() for row in rows}) > 0.9 * len(rows)
