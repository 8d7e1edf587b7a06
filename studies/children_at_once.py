"""What it costs a search to ask for many children at a time, which a GPU needs, many seeds.

Searches tables by regularized evolution with populations, tournaments and numbers of children at a
time. The fitness is the table's accuracy (what a perfect score would be), or the default score as
``python -m nas_search.rank`` measured it of NAS-Bench-201's cells. Reported is the
place of the best network found among all different ones by that fitness (1 is the best): geometric
mean over seeds with its 95 % interval; the same as a ratio to the first search's, seed by seed; and
how many searches found the best of all. No network is built or trained; it takes ten minutes.

    python -m studies.children_at_once --table nasbench201.csv --scores outputs/classes/scores.csv \
        --table101 nasbench101.npz [--seeds 50]

The scores are those of one cell of every class of equal ones, as in docs/guided.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from benchmarks.common import header, say
from nas_search.core.evaluation import Evaluation
from nas_search.search import ALGORITHMS, Budget, Genotypes, run_loop
from nas_search.search.loop import Evaluate
from nas_search.spaces import SPACES, SearchSpace
from nas_search.tables import BENCHMARKS
from studies.evolution_by_score import oracle, read_scores
from studies.evolution_vs_random import Forget, Oracle

BUDGETS = (200, 500, 1000)

# (population, tournament, children at a time); the first is what the others are compared with.
SEARCHES: tuple[tuple[int, ...], ...] = (
    (100, 25, 8),
    (100, 25, 1),
    (100, 25, 32),
    (100, 25, 64),
    (100, 25, 128),
    (128, 32, 64),
    (64, 16, 64),
    (20, 5, 8),
)


@dataclass(frozen=True)
class Fitness:
    """What a search is for.

    Attributes:
        space: where it searches.
        score: name of the fitness in the evaluations.
        evaluate: evaluates genotypes.
        values: the fitness of every different network of the space.
    """

    space: Genotypes
    score: str
    evaluate: Evaluate
    values: np.ndarray


class Remembering:
    """A space whose canonical forms are computed once: all searches meet the same networks."""

    def __init__(self, space: SearchSpace[Any]) -> None:
        self.sample, self.mutate, self.crossover = space.sample, space.mutate, space.crossover
        self.neighbors, self.canonical = space.neighbors, cache(space.canonical)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, help="NAS-Bench-201's")
    parser.add_argument("--scores", type=Path, help="scores.csv of a rank run on its cells")
    parser.add_argument("--table101", type=Path, help="NAS-Bench-101's")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument(
        "--searches",
        nargs="+",
        default=[",".join(map(str, one)) for one in SEARCHES],
        help="population,tournament,children",
    )
    options = parser.parse_args()
    searches = [tuple(map(int, one.split(","))) for one in options.searches]
    every: dict[str, Fitness] = {}
    if options.table:
        every |= nasbench201(options.table, options.scores)
    if options.table101:
        every |= nasbench101(options.table101)
    say(header(seeds=f"0 to {options.seeds - 1}"))
    names = [f"{budget} evaluations: place | times | best" for budget in BUDGETS]
    say(f"| fitness | P, S, K | {' | '.join(names)} |")
    say("|---|---|" + "---|---|---|" * len(BUDGETS))
    for name, fitness in every.items():
        places = {
            one: np.array([found(fitness, seed, *one) for seed in range(options.seeds)])
            for one in searches
        }
        first = places[searches[0]]
        for one, own in places.items():
            cells = [name, ", ".join(map(str, one))]
            for at in range(len(BUDGETS)):
                ratio = "-" if own is first else interval(own[:, at] / first[:, at])
                cells += [interval(own[:, at]), ratio, f"{(own[:, at] == 1).sum()}/{len(own)}"]
            say(f"| {' | '.join(cells)} |")


def nasbench201(file: Path, scores: Path | None) -> dict[str, Fitness]:
    """Return accuracies and scores of NAS-Bench-201's cells as fitness."""
    reader, space = BENCHMARKS.get("nasbench201"), SPACES.get("nasbench201").space()
    table = reader.read(space, reader.options(str(file)))
    of_class: dict[str, Mapping[str, float]] = {"NAS-Bench-201, accuracy": oracle(table)}
    if scores:
        of_class["NAS-Bench-201, gradalign"] = read_scores(scores, table)["gradalign"]
    remembering = Remembering(space)
    return {
        name: Fitness(remembering, "score", lookup(remembering, own), np.array(list(own.values())))
        for name, own in of_class.items()
    }


def lookup(space: Remembering, scores: Mapping[str, float]) -> Evaluate:
    """Return what evaluates by looking the score of a cell's class up; one without it is dead."""

    def evaluate(genotypes: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        for genotype in genotypes[start:stop]:
            key = space.canonical(genotype)
            known = {"score": scores[key]} if key in scores else {}
            yield Evaluation(str(genotype), key, "ok" if known else "dead", known)

    return evaluate


def nasbench101(file: Path) -> dict[str, Fitness]:
    """Return the accuracy of NAS-Bench-101's cells, all of them different, as fitness."""
    reader, space = BENCHMARKS.get("nasbench101"), SPACES.get("nasbench101").space()
    table = reader.read(space, reader.options(str(file)))
    values = table.columns[table.validation]
    fitness = Fitness(Remembering(space), "oracle", Oracle(table), values)
    return {"NAS-Bench-101, accuracy": fitness}


def found(
    fitness: Fitness, seed: int, population: int, tournament: int, children: int
) -> list[int]:
    """Return the place of the best network after each of :data:`BUDGETS`, 1 for the best of all."""
    record = ALGORITHMS.get("regularized_evolution")
    search = record.algorithm(
        fitness.space,
        np.random.default_rng([seed, *b"search"]),
        fitness.score,
        record.options(population=population, tournament=tournament),
    )
    limit = Budget(evaluations=max(BUDGETS))
    outcome = run_loop(search, fitness.evaluate, limit, Forget(), batch=children, ahead=256)
    values = np.array([e.scores.get(fitness.score, -np.inf) for e in outcome.evaluations])
    return [1 + int((fitness.values > values[:budget].max()).sum()) for budget in BUDGETS]


def interval(values: Sequence[float] | np.ndarray) -> str:
    """Return the geometric mean of ``values`` with the 95 % interval of Student's t on logs."""
    logs = np.log(np.asarray(values, dtype=float))
    half = t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    low, mean, high = np.exp(logs.mean() + half * np.array([-1, 0, 1]))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
