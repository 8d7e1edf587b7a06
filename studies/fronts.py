"""How much of the true front of accuracy against MACs each algorithm finds on NAS-Bench-201.

Searches on the table's own CIFAR-10 validation accuracy (proxy=oracle), to be maximized, and the
MACs of the published full-size network, to be minimized. With both as objectives: NSGA-II and
random search. Algorithms of one objective search on the accuracy alone; what they evaluated is
judged by both all the same. Reported for each number of evaluations, mean over seeds: the
hypervolume of all that was evaluated in units of that of the table's true front, in how many seeds
it is above random search with the same seed, the share of the true front's points that were found,
and the highest validation accuracy. No network is built or trained; it takes about three minutes.

    python -m studies.fronts --table nasbench201.csv [--seeds 20] [--out fronts.csv]
        [--plot fronts.png]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.common import header, say
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective, values_of
from nas_search.report.figure import FAINT, INK, MUTED, save, style
from nas_search.search import ALGORITHMS, Budget, run_loop
from nas_search.search.fronts import front_numbers, hypervolume, losses
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS, Table
from studies.evolution_vs_random import Forget

OBJECTIVES = (Objective("oracle"), Objective("macs", minimize=True))
BUDGETS = (50, 100, 200, 500, 1000)
MACRO: dict[str, Any] = {"cells": 5, "channels": 16}

Search = tuple[str, dict[str, Any], int]
"""Algorithm, options, children at a time."""

SEARCHES: dict[str, Search] = {
    "random": ("random", {}, 1),
    "nsga2, N = 20 (default)": ("nsga2", {}, 1),
    "nsga2, N = 20, crossover 0.9": ("nsga2", {"crossover": 0.9}, 1),
    "nsga2, N = 20, crossover 0.5": ("nsga2", {"crossover": 0.5}, 1),
    "nsga2, N = 10": ("nsga2", {"population": 10}, 1),
    "nsga2, N = 50": ("nsga2", {"population": 50}, 1),
    "nsga2, N = 100": ("nsga2", {"population": 100}, 1),
    "regularized_evolution, P = 20, S = 5": (
        "regularized_evolution",
        {"population": 20, "tournament": 5},
        8,
    ),
    "regularized_evolution, P = 100, S = 25": ("regularized_evolution", {}, 8),
    "local_search (default)": ("local_search", {}, 1),
    "local_search, 1 start": ("local_search", {"starts": 1}, 1),
}

FIELDS = (
    *("search", "evaluations", "seeds", "hypervolume", "hypervolume_deviation"),
    *("above_random", "front_found", "accuracy", "accuracy_deviation"),
)


class Cells:
    """The table's cells by canonical form: accuracy and MACs, looked up.

    Args:
        table: of accuracies.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.cost = cache(lambda cell: table.space.cost(cell, (3, 32, 32), 10, **MACRO))

    def __call__(self, genotypes: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        """Yield the evaluations of ``genotypes[start:stop]``."""
        yield from map(self.one, genotypes[start:stop])

    def one(self, cell: Any) -> Evaluation:
        """Return the evaluation of a cell; one without an accuracy has failed."""
        accuracy = self.table.accuracy(cell, self.table.validation)
        cost, key = self.cost(cell), self.table.space.canonical(cell)
        if accuracy is None:
            return Evaluation(str(cell), key, "failed", {}, cost.params, cost.macs)
        return Evaluation(str(cell), key, "ok", {"oracle": accuracy}, cost.params, cost.macs)


@dataclass(frozen=True)
class Figures:
    """What was found after some evaluations of one search."""

    hypervolume: float
    front_found: float
    accuracy: float


def points_of(evaluations: Sequence[Evaluation]) -> np.ndarray:
    values = [values_of(OBJECTIVES, evaluation) for evaluation in evaluations]
    return losses(OBJECTIVES, [one for one in values if one is not None])


def true_front(cells: Cells) -> np.ndarray:
    """Return the different points of the front of all cells of the table."""
    points = points_of([cells.one(cell) for cell in cells.table.architectures])
    return np.unique(points[front_numbers(points) == 1], axis=0)


def figures(cells: Cells, front: np.ndarray, seed: int, search: Search) -> list[Figures]:
    """Return what a search found after each of :data:`BUDGETS`."""
    name, options, batch = search
    record = ALGORITHMS.get(name)
    algorithm = record.algorithm(
        cells.table.space,
        np.random.default_rng([seed, *b"search"]),
        OBJECTIVES if record.objectives[1] > 1 else "oracle",
        record.options(**options),
    )
    budget = Budget(evaluations=max(BUDGETS))
    outcome = run_loop(algorithm, cells, budget, Forget(), batch=batch, ahead=256)
    whole, found = hypervolume(front, front), []
    for count in BUDGETS:
        points = points_of(outcome.evaluations[:count])
        there = (points[:, None] == front[None]).all(axis=2).any(axis=0)
        volume = hypervolume(points, front) / whole
        found.append(Figures(volume, float(there.mean()), float(-points[:, 0].min())))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="a .csv for the same figures")
    parser.add_argument("--plot", type=Path, help="a .png of the hypervolumes")
    options = parser.parse_args()
    reader, space = BENCHMARKS.get("nasbench201"), SPACES.get("nasbench201").space()
    space.canonical = cache(space.canonical)  # type: ignore[method-assign]  # 200,000 times asked
    start = perf_counter()
    cells = Cells(reader.read(space, reader.options(options.table)))
    front = true_front(cells)
    found = {
        name: [figures(cells, front, seed, search) for seed in range(options.seeds)]
        for name, search in SEARCHES.items()
    }
    rows = list(summarized(found, options.seeds))
    say(header(seeds=f"0 to {options.seeds - 1}", space="nasbench201", macro=str(MACRO)))
    say(
        f"{len(found) * options.seeds} searches in {perf_counter() - start:.0f} s; the true front "
        f"has {len(front)} points.\n"
    )
    say(
        "| evaluations | search | hypervolume / true | above random | of the front found | "
        "highest validation accuracy |"
    )
    say("|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: row["evaluations"]):
        say(
            f"| {row['evaluations']} | {row['search']} | {row['hypervolume']} +- "
            f"{row['hypervolume_deviation']} | {row['above_random']}/{row['seeds']} | "
            f"{row['front_found']} | {row['accuracy']} +- {row['accuracy_deviation']} |"
        )
    if options.out:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(rows)
    if options.plot:
        save(plot(rows), options.plot)


def summarized(found: dict[str, list[list[Figures]]], seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row per search and budget, see :data:`FIELDS`."""
    for name, by_seed in found.items():
        for place, budget in enumerate(BUDGETS):
            here = [one[place] for one in by_seed]
            chance = [one[place].hypervolume for one in found["random"]]
            volumes = np.array([one.hypervolume for one in here])
            accuracies = np.array([one.accuracy for one in here])
            yield {
                "search": name,
                "evaluations": budget,
                "seeds": seeds,
                "hypervolume": f"{volumes.mean():.4f}",
                "hypervolume_deviation": f"{volumes.std(ddof=1):.4f}",
                "above_random": int((volumes > np.array(chance)).sum()),
                "front_found": f"{np.mean([one.front_found for one in here]):.2f}",
                "accuracy": f"{accuracies.mean():.2f}",
                "accuracy_deviation": f"{accuracies.std(ddof=1):.2f}",
            }


PLOTTED = {
    "nsga2, N = 20 (default)": "#123f8c",
    "random": "#7b8794",
    "regularized_evolution, P = 20, S = 5": "#b7791f",
    "local_search (default)": "#7b3fb5",
}


def plot(rows: Sequence[dict[str, Any]]) -> Figure:
    """Return the mean hypervolume over evaluations, with a band of one standard deviation."""
    with style():
        figure = Figure(figsize=(6.5, 4.0), dpi=150, facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        for name, color in PLOTTED.items():
            own = [row for row in rows if row["search"] == name]
            x = np.array([row["evaluations"] for row in own])
            mean = np.array([float(row["hypervolume"]) for row in own])
            deviation = np.array([float(row["hypervolume_deviation"]) for row in own])
            axes.fill_between(x, mean - deviation, mean + deviation, color=color, alpha=0.15, lw=0)
            axes.plot(x, mean, marker="o", markersize=4, color=color, label=name)
        axes.set_xscale("log")
        axes.set_xticks(BUDGETS, [f"{budget:,}" for budget in BUDGETS])
        axes.minorticks_off()
        axes.set_xlabel("evaluations", color=INK)
        axes.set_ylabel("hypervolume, true front = 1", color=INK)
        axes.grid(color=FAINT, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.legend(frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    main()
