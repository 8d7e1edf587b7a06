"""Proposals that bounds waste: ``python -m benchmarks.proposals`` prints docs/limits.md's table.

Per space and bound: what share of random genotypes meets it, and what share of the genotypes that
a regularized evolution looks at is thrown away. The fitness is the number of parameters, the worst
case: evolution pushes against the upper bound all the time.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.costs import COSTS, At
from nas_search.scoring import Constraints
from nas_search.search import ALGORITHMS, FeasibleGenotypes
from nas_search.spaces import SPACES, SearchSpace

SIZES: dict[str, dict[str, Any]] = {
    "darts": {"cells": 20, "channels": 36},
    "nasbench101": {"channels": 128},
    "nasbench201": {"cells": 5, "channels": 16},
}
QUANTILES = (0.5, 0.1, 0.01)
SAMPLES, EVALUATIONS, SEEDS = 2000, 300, 3


def main() -> None:
    """Measure and print one row per space and bound."""
    print(
        "| space | bounds | meet it | wasted, sampling | wasted, evolution | repaired | ms each |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, macro in SIZES.items():
        space, at = SPACES.get(name).space(), At((3, 32, 32), 10, macro)
        values = {one: _values(space, at, one) for one in ("params", "macs")}
        for share in QUANTILES:
            most = float(np.quantile(values["params"], share))
            _row(name, f"params, lowest {share:.0%}", space, at, {"max_params": most}, values)
        low, high = np.quantile(values["params"], [0.48, 0.52])
        middle = {"min_params": float(low), "max_params": float(high)}
        _row(name, "params, middle 4%", space, at, middle, values)
        both = {f"max_{one}": float(np.quantile(v, 0.1)) for one, v in values.items()}
        both["min_params"] = float(np.quantile(values["params"], 0.05))
        _row(name, "params 5 to 10%, MACs lowest 10%", space, at, both, values)
        sys.stdout.flush()


def _values(space: SearchSpace[Any], at: At, cost: str) -> list[float]:
    rng, record = np.random.default_rng(0), COSTS.get(cost)
    return [record.cost(space, space.sample(rng), at) for _ in range(SAMPLES)]


def _row(
    name: str,
    title: str,
    space: SearchSpace[Any],
    at: At,
    bounds: dict[str, float],
    values: dict[str, list[float]],
) -> None:
    constraints = Constraints(bounds, at=at)
    names = constraints.names
    rows = [dict(zip(values, pair, strict=True)) for pair in zip(*values.values(), strict=True)]
    meet = float(np.mean([not constraints.excess(row) for row in rows]))

    def excess(genotype: Any) -> float:
        costs = {one: COSTS.get(one).cost(space, genotype, at) for one in names}
        return constraints.excess(costs)

    sampling = FeasibleGenotypes(space, excess)
    rng = np.random.default_rng(1)
    for _ in range(100):
        sampling.sample(rng)
    wasted, repaired, seconds = [], [], []
    for seed in range(SEEDS):
        evolving = FeasibleGenotypes(space, excess)
        start = perf_counter()
        _evolve(evolving, space, at, seed)
        seconds.append((perf_counter() - start) / EVALUATIONS)
        wasted.append(evolving.wasted)
        repaired.append(evolving.repaired)
    print(
        f"| {name} | {title} | {meet:.1%} | {sampling.wasted:.1%} | {np.mean(wasted):.1%} "
        f"({min(wasted):.1%} to {max(wasted):.1%}) | {sum(repaired)} of {SEEDS * EVALUATIONS} | "
        f"{1e3 * np.median(seconds):.2g} |"
    )


def _evolve(within: FeasibleGenotypes, space: SearchSpace[Any], at: At, seed: int) -> None:
    record = ALGORITHMS.get("regularized_evolution")
    options = record.options(population=50, tournament=10)
    algorithm = record.algorithm(within, np.random.default_rng(seed), "params", options)
    for _ in range(EVALUATIONS):
        genotypes = algorithm.ask(1)
        if not genotypes:  # all that is allowed has been proposed
            break
        algorithm.tell([_evaluation(space, one, at) for one in genotypes])


def _evaluation(space: SearchSpace[Any], genotype: Any, at: At) -> Evaluation:
    score = COSTS.get("params").cost(space, genotype, at)
    return Evaluation(str(genotype), space.canonical(genotype), "ok", {"params": score})


if __name__ == "__main__":
    main()
