"""What training the k best of a search adds, on NAS-Bench-201, many seeds.

Searches with a training-free score as fitness, as ``studies.evolution_by_score`` does, chooses
k finalists as ``python -m nas_search finalists.k=K`` does, looks up the validation accuracy that
each reached in the benchmark's own training, and reports the test accuracy of the one with the
highest. Nothing is scored or trained here; it takes about a minute.

    python -m studies.search_then_confirm --table nasbench201.csv \
        --scores outputs/study/nasbench201/classes/scores.csv [--score gradalign] [--seeds 50]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common import header, say
from nas_search.core.evaluation import Evaluation
from nas_search.report import best_first
from nas_search.search import ALGORITHMS, Budget, run_loop
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS, Table
from nas_search.training import choose_finalists
from studies.evolution_by_score import Lookup, read_scores
from studies.evolution_vs_random import Forget

FINALISTS = (1, 5, 20)
PROTOCOLS = {
    "200 epochs": ("v11_c10valid_val_200", "c10valid_val_200"),
    "12 epochs": ("c10valid_val_12",),
}
"""Columns of validation accuracy by which finalists are chosen: the first that the table has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--score", default="gradalign")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--distance", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    reader, space = BENCHMARKS.get("nasbench201"), SPACES.get("nasbench201").space()
    table = reader.read(space, reader.options(options.table))
    scores = read_scores(options.scores, table)[options.score]
    say(
        header(
            seeds=f"0 to {options.seeds - 1}",
            score=options.score,
            evaluations=options.evaluations,
            search="evolution with the command's own settings",
        )
    )
    say(f"| finalists | edges apart, at least | trained for | {' | '.join(table.test)} |")
    say("|---|---|---|" + "---|" * len(table.test))
    outcomes = [search(table, scores, seed, options.evaluations) for seed in range(options.seeds)]
    for k in FINALISTS:
        for distance in options.distance if k > 1 else options.distance[:1]:
            for title, names in PROTOCOLS.items():
                column = next(name for name in names if name in table.columns)
                found = np.array([winner(table, o, k, distance, column) for o in outcomes])
                cells = [f"{v.mean():.2f} +- {v.std(ddof=1):.2f}" for v in found.T]
                apart = distance if k > 1 else "-"
                say(f"| {k} | {apart} | {title if k > 1 else '-'} | {' | '.join(cells)} |")
                if k == 1:
                    break
    tops = " | ".join(f"{table.best(column):.2f}" for column in table.test)
    say(f"| best of the table, each column by itself | | | {tops} |")


def search(table: Table, scores: dict[str, float], seed: int, evaluations: int) -> list[Evaluation]:
    """Return what an evolution with the score as fitness evaluated."""
    record = ALGORITHMS.get("regularized_evolution")
    evolution = record.algorithm(
        table.space, np.random.default_rng([seed, *b"search"]), "score", record.options()
    )
    limit = Budget(evaluations=evaluations)
    return run_loop(
        evolution, Lookup(table, scores), limit, Forget(), batch=8, ahead=256
    ).evaluations


def winner(
    table: Table, evaluations: list[Evaluation], k: int, distance: int, column: str
) -> list[float]:
    """Return the test accuracies of the finalist with the highest validation accuracy."""
    chosen = choose_finalists(table.space, best_first(evaluations, "score"), k, distance)
    rows = [table.row(table.space.parse(e.genotype)) for _, e in chosen]
    best = max(rows, key=lambda row: table.columns[column][row])
    return [float(table.columns[name][best]) for name in table.test]


if __name__ == "__main__":
    main()
