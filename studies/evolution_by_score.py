"""What evolution finds when a training-free score is its fitness, on NAS-Bench-201, many seeds.

Takes the scores that ``python -m nas_search.rank`` wrote for one cell of every class of equal
networks (studies/study.sh, part classes), searches on each of them, and looks the accuracy of
the cell with the highest score up: mean +- standard deviation over seeds, beside random search
with the same score and the same number of evaluations. Where scores of several draws are in the
file, their mean is searched on. The fitness "oracle" is the table's validation accuracy of the
first cell of each class: what a perfect score would reach. Nothing is scored or trained here; it
takes about two minutes.

    python -m studies.evolution_by_score --table nasbench201.csv \
        --scores outputs/study/nasbench201/classes [MORE RUNS...] [--seeds 50] [--out evolution.csv]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import header, say
from nas_search.core.evaluation import Evaluation
from nas_search.search import ALGORITHMS, Budget, run_loop
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS, Table
from studies.evolution_vs_random import Forget

BUDGETS = (200, 500)
SEARCHES: dict[str, tuple[str, dict[str, int], int]] = {
    "evolution": ("regularized_evolution", {}, 8),
    "random search": ("random", {}, 8),
}
"""(algorithm, options, batch): both with the command's own defaults."""

NOT_SCORES = ("seed", "genotype", "status", "seconds", "reason")


class Lookup:
    """Evaluates by looking the score of a cell's class up; a cell without one is dead."""

    def __init__(self, table: Table, scores: dict[str, float]) -> None:
        self._space = table.space
        self._scores = scores

    def __call__(self, genotypes: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        """Yield the evaluations of ``genotypes[start:stop]``."""
        for genotype in genotypes[start:stop]:
            key = self._space.canonical(genotype)
            if key in self._scores:
                yield Evaluation(str(genotype), key, "ok", {"score": self._scores[key]})
            else:
                yield Evaluation(str(genotype), key, "dead", reason="no score")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True)
    parser.add_argument("--scores", type=Path, required=True, nargs="+", metavar="RUN")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--out", type=Path, help="a .csv for the same figures")
    options = parser.parse_args()
    reader, space = BENCHMARKS.get("nasbench201"), SPACES.get("nasbench201").space()
    table = reader.read(space, reader.options(options.table))
    scores: dict[str, dict[str, float]] = {}
    for run in options.scores:
        scores |= read_scores(run / "scores.csv", table)
    scores["oracle"] = oracle(table)
    lines = []
    runs = " ".join(run.name for run in options.scores)
    say(header(seeds=f"0 to {options.seeds - 1}", space="nasbench201", scores=runs))
    say("| fitness | search | evaluations | " + " | ".join(table.test) + " | rank of the score |")
    say("|---|---|---|" + "---|" * (len(table.test) + 1))
    for name, of_class in scores.items():
        for title, search in SEARCHES.items():
            found = np.array([best(table, of_class, s, *search) for s in range(options.seeds)])
            for place, budget in enumerate(BUDGETS):
                values = found[:, place]
                cells = [f"{v.mean():.2f} +- {v.std(ddof=1):.2f}" for v in values[:, :-1].T]
                rank = f"{np.median(values[:, -1]):.0f}"
                say(f"| {name} | {title} | {budget} | {' | '.join(cells)} | {rank} |")
                spread = [f"{v:.2f}" for c in values[:, :-1].T for v in (c.mean(), c.std(ddof=1))]
                lines.append([name, title, budget, options.seeds, *spread, rank])
    tops = " | ".join(f"{table.best(column):.2f}" for column in table.test)
    say(f"| best of the table, each column by itself | | | {tops} | |")
    if options.out:
        columns = [name for column in table.test for name in (column, f"{column}_deviation")]
        with options.out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["fitness", "search", "evaluations", "seeds", *columns, "score_rank"])
            writer.writerows(lines)


def oracle(table: Table) -> dict[str, float]:
    """Return the validation accuracy of the first cell of every class by its canonical form."""
    values = table.columns[table.validation]
    keys = [table.space.canonical(cell) for cell in table.architectures]
    return {key: float(values[row]) for row, key in reversed(list(enumerate(keys)))}


def read_scores(path: Path, table: Table) -> dict[str, dict[str, float]]:
    """Return the mean over draws of each score by the canonical form of the class."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in (*NOT_SCORES, *table.columns)]
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for row in rows:
        key = table.space.canonical(table.space.parse(row["genotype"]))
        for name in names:
            if row[name]:
                found[name].setdefault(key, []).append(float(row[name]))
    return {
        name: {key: float(np.mean(values)) for key, values in of_class.items()}
        for name, of_class in found.items()
    }


def best(
    table: Table,
    scores: dict[str, float],
    seed: int,
    algorithm: str,
    options: dict[str, int],
    batch: int,
) -> list[list[float]]:
    """Return (budgets, columns + 1): the best cell's accuracies and the rank of its score."""
    record = ALGORITHMS.get(algorithm)
    search = record.algorithm(
        table.space, np.random.default_rng([seed, *b"search"]), "score", record.options(**options)
    )
    limit = Budget(evaluations=max(BUDGETS))
    outcome = run_loop(search, Lookup(table, scores), limit, Forget(), batch=batch, ahead=256)
    values = np.array([e.scores.get("score", -np.inf) for e in outcome.evaluations])
    everything = np.array(list(scores.values()))
    result = []
    for budget in BUDGETS:
        place = int(values[:budget].argmax())
        cell = table.row(table.space.parse(outcome.evaluations[place].genotype))
        accuracies = [float(table.columns[name][cell]) for name in table.test]
        result.append([*accuracies, 1.0 + (everything > values[place]).sum()])
    return result


if __name__ == "__main__":
    main()
