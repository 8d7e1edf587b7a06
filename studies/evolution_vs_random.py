"""Whether evolution finds better cells than chance when the score is the accuracy itself.

Searches NAS-Bench-201 on the table's own CIFAR-10 validation accuracy (proxy=oracle), many seeds
each: regularized evolution as published with NAS-Bench-201 (population 10, tournament 3, one child
at a time) and with our defaults (population 100, tournament 25, 8 children at a time), the two
other combinations that tell population and batch apart, and random search. Reported is the cell
with the highest validation accuracy after so many evaluations: its accuracies, mean +- standard
deviation over seeds. No network is built or trained; it takes about half a minute.

    python -m studies.evolution_vs_random --table nasbench201.csv [--seeds 50] [--validation
        v11_c10valid_val_200]

The .csv has the columns arch_str, v11_c10valid_val_200, c10_test_200, c100_test_200, in16_test_200.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.common import header, say
from nas_search.core.evaluation import Evaluation
from nas_search.search import ALGORITHMS, Budget, run_loop
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS, Table

BUDGETS = (100, 200, 500)

# name: (algorithm, options, batch)
SEARCHES: dict[str, tuple[str, dict[str, int], int]] = {
    "random search": ("random", {}, 1),
    "evolution, P = 10, S = 3, K = 1 (NAS-Bench-201's)": (
        "regularized_evolution",
        {"population": 10, "tournament": 3},
        1,
    ),
    "evolution, P = 10, S = 3, K = 8": (
        "regularized_evolution",
        {"population": 10, "tournament": 3},
        8,
    ),
    "evolution, P = 100, S = 25, K = 1 (Real et al.'s)": (
        "regularized_evolution",
        {"population": 100, "tournament": 25},
        1,
    ),
    "evolution, P = 100, S = 25, K = 8 (our default)": (
        "regularized_evolution",
        {"population": 100, "tournament": 25},
        8,
    ),
}


class Forget:
    """A record that keeps nothing."""

    def append(self, evaluation: Evaluation, elapsed: float) -> None:
        """Take an evaluation."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--validation", default="v11_c10valid_val_200")
    options = parser.parse_args()
    reader, space = BENCHMARKS.get("nasbench201"), SPACES.get("nasbench201").space()
    table = reader.read(space, reader.options(options.table, options.validation))
    start = perf_counter()
    found = {
        name: np.array([best_found(table, seed, *search) for seed in range(options.seeds)])
        for name, search in SEARCHES.items()
    }
    columns = table.reported
    say(
        header(
            seeds=f"0 to {options.seeds - 1}", space="nasbench201", **{"searched on": columns[0]}
        )
    )
    say(f"{len(found) * options.seeds} searches in {perf_counter() - start:.0f} s.\n")
    say("| evaluations | search | " + " | ".join(columns) + " | optimum found |")
    say("|---|---|" + "---|" * (len(columns) + 1))
    for place, budget in enumerate(BUDGETS):
        for name, values in found.items():
            cells = [
                f"{column.mean():.2f} +- {column.std(ddof=1):.2f}" for column in values[:, place].T
            ]
            optimum = (values[:, place, 0] >= table.best(columns[0])).sum()
            say(f"| {budget} | {name} | {' | '.join(cells)} | {optimum}/{options.seeds} |")
    tops = " | ".join(f"{table.best(column):.2f}" for column in columns)
    say(f"| all | best of the table, each column by itself | {tops} | |")


def best_found(
    table: Table, seed: int, algorithm: str, options: dict[str, int], batch: int
) -> list[list[float]]:
    """Return the accuracies (budgets, columns) of the best cell after each of :data:`BUDGETS`."""
    record = ALGORITHMS.get(algorithm)
    search = record.algorithm(
        table.space, np.random.default_rng([seed, *b"search"]), "oracle", record.options(**options)
    )
    outcome = run_loop(
        search, Oracle(table), Budget(evaluations=max(BUDGETS)), Forget(), batch=batch, ahead=256
    )
    scores = np.array([e.scores["oracle"] for e in outcome.evaluations])
    result = []
    for budget in BUDGETS:
        best = table.space.parse(outcome.evaluations[int(scores[:budget].argmax())].genotype)
        result.append([float(table.columns[name][table.row(best)]) for name in table.reported])
    return result


class Oracle:
    """Evaluates by looking the validation accuracy up."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __call__(self, genotypes: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        """Yield the evaluations of ``genotypes[start:stop]``."""
        for genotype in genotypes[start:stop]:
            accuracy = float(self._table.columns[self._table.validation][self._table.row(genotype)])
            yield Evaluation(str(genotype), "", "ok", {"oracle": accuracy})


if __name__ == "__main__":
    main()
