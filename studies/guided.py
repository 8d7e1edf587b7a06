"""What searches that train find, by the number of short trainings, under one bound on size.

Four ways to spend the same trainings on tables (studies/guided_places.py says what a training tells
there and what judges), 20 seeds each:

- random: train random candidates, take the one with the highest accuracy;
- evolution: regularized evolution (population 10, tournament 3) on these accuracies alone;
- score, then train: evolve by the score with as many scored candidates as guided has, train the
  highest, take the one with the highest accuracy;
- guided: ``algorithm=guided`` without a prior, number 1 of its last model;
- guided, prior: the same with the package's prior of the space, where it has one. It was fitted on
  trainings of the very tables that tell and judge here: what it knows is no result;
- guided, kappa K: guided with another weight of the uncertainty (only where --methods names it);
- guided, forest alone, and guided, prior, forest alone: with a model that has neither line nor
  process beside the forest, as guided was before (only where --methods names it).

The rule of acquisition was chosen on the seeds 0 to 19; those from 20 on are fresh, and are shown
by themselves.

Nothing is scored or trained here. It can be stopped and repeated: what the CSV holds is kept.

    python -m studies.guided --data TABLES --scores outputs/study/nasbench201/classes/scores.csv \
        [--places nasbench201 nasbench101 darts] [--seeds 20] [--first-seed 0] [--methods ...] \
        [--page docs/guided.md] [--plot docs/study/guided.png]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from matplotlib.figure import Figure

from nas_search.core.evaluation import Evaluation
from nas_search.priors import Prior, fit_prior, shipped_prior
from nas_search.priors import guide as model_of_guided
from nas_search.priors.guide import PriorGuide
from nas_search.priors.shipped import shipped_names
from nas_search.report import best_first
from nas_search.report.figure import style
from nas_search.search import ALGORITHMS, Budget, run_loop
from nas_search.search import guided as algorithm_of_guided
from nas_search.search.guided import TRAINED
from nas_search.search.standings import standings
from studies.evolution_vs_random import Forget
from studies.guided_places import PLACES, TASKS, TRANSNAS, Place
from studies.markdown import replaced, table
from studies.result_files import RESULTS, Row, read_rows, write_rows

TRAININGS = (5, 10, 20, 40, 80)
GUIDED: dict[str, int] = {"population": 100, "tournament": 25, "scored": 50, "trained": 5}
COLUMNS = ("place", "method", "seed", "trainings", "judged")
METHODS = ("random", "evolution", "score, then train", "guided", "guided, prior")
KAPPAS = {"guided, kappa 0": 0.0, "guided, kappa 0.5": 0.5, "guided, kappa 2": 2.0}
FOREST_ALONE = ("guided, forest alone", "guided, prior, forest alone")
EVERY = (*METHODS, *KAPPAS, *FOREST_ALONE)

FRESH = 20
"""Seeds from here on are not those that the rule of acquisition was chosen on."""

MEAN = f"{TRANSNAS}mean of {len(TASKS)} tasks"
"""The place whose value is the mean over the tasks, seed by seed."""

BY_TASK = (20, 80)
"""Numbers of trainings that are shown task by task."""

Found = dict[int, float]
"""What is judged of the candidate that a search ends with, by number of trainings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--scores", type=Path, help="scores.csv of all classes, for nasbench201")
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=EVERY)
    parser.add_argument("--out", type=Path, default=RESULTS / "guided.csv")
    parser.add_argument("--page", type=Path, help="the page whose tables are written anew")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if "nasbench201" in options.places and options.scores is None:
        parser.error("the place nasbench201 needs --scores")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for name in options.places:
        measure(name, options.data, options.scores, seeds, options.out, options.methods)
    rows = read_rows(options.out)
    print(shown(rows))
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(replaced(page, "guided", shown(rows)), encoding="utf-8")
    if options.plot:
        with style():
            picture(rows).savefig(options.plot, dpi=100)


def measure(
    name: str,
    data: Path,
    scores: Path | None,
    seeds: Sequence[int],
    out: Path,
    methods: Sequence[str] = METHODS,
) -> None:
    """Add what is missing of a place to the CSV, one search at a time."""
    rows = read_rows(out)
    done = {(row["place"], row["method"], row["seed"]) for row in rows}
    methods = [one for one in methods if "prior" not in one or name in shipped_names()]
    todo = [(s, m) for s in seeds for m in methods if (name, m, str(s)) not in done]
    if not todo:
        return
    place = PLACES[name](data, scores)
    prior = shipped_prior(place.space) if name in shipped_names() else None
    for seed, method in todo:
        for trainings, value in search(place, method, seed, prior).items():
            told = (name, method, str(seed), str(trainings), f"{value:.4f}")
            rows.append(dict(zip(COLUMNS, told, strict=True)))
        write_rows(out, COLUMNS, rows)


def search(place: Place, method: str, seed: int, prior: Prior | None = None) -> Found:
    """Return what one search of a method finds."""
    if method == "random":
        return trained_only(place, seed, "random", {})
    if method == "evolution":
        options = {"population": 10, "tournament": 3}
        return trained_only(place, seed, "regularized_evolution", options)
    if method == "score, then train":
        return score_then_train(place, seed)
    with_kappa = KAPPAS.get(method, algorithm_of_guided.KAPPA)
    fit = partial(fit_prior, process=False) if method in FOREST_ALONE else fit_prior
    with (
        patch.object(algorithm_of_guided, "KAPPA", with_kappa),
        patch.object(model_of_guided, "fit_prior", fit),
    ):
        return guided(place, seed, prior if "prior" in method else None)


def trained_only(place: Place, seed: int, name: str, options: dict[str, int]) -> Found:
    """Return what a search finds whose fitness are the trainings."""
    history = run(place, seed, name, options, place.trained, Budget(max(TRAININGS)), TRAINED)
    trained = [e for e in history if e.status != "rejected"]
    return {n: worth(place, best_first(trained[:n], TRAINED)[0][1]) for n in TRAININGS}


def score_then_train(place: Place, seed: int) -> Found:
    """Return what is found where the highest scores of an evolution are trained."""
    paced = GUIDED | place.of_guided
    options = {key: paced[key] for key in ("population", "tournament")}
    scored = {n: scored_before(n, paced) for n in TRAININGS}
    limit = Budget(max(scored.values()))
    history = run(place, seed, "regularized_evolution", options, place.scored, limit, place.score)
    counted = [e for e in history if e.status != "rejected"]
    found = {}
    for n in TRAININGS:
        top = [e for _, e in best_first(counted[: scored[n]], place.score)[:n]]
        told = [place.trained(place.space.parse(e.genotype)) for e in top]
        found[n] = worth(place, best_first(told, TRAINED)[0][1])
    return found


def guided(place: Place, seed: int, prior: Prior | None) -> Found:
    """Return what is number 1 of a guided search after so many trainings.

    A search of fewer trainings is the beginning of one of more.
    """
    guide = PriorGuide(place.space, place.score, prior=prior)
    limit = Budget(trainings=max(TRAININGS))
    options = GUIDED | place.of_guided
    history = run(place, seed, "guided", options, place.scored, limit, place.score, guide)
    known, found, trained = set[str](), {}, 0
    for number, evaluation in enumerate(history, 1):
        trained += evaluation.key in known
        if evaluation.key in known and trained in TRAININGS:
            ranked = standings(guide, history[:number], place.score, place.space.parse)
            found[trained] = worth(place, ranked[0].evaluation)
        known.add(evaluation.key)
    return found


def scored_before(trainings: int, options: Mapping[str, int]) -> int:
    """Return how many candidates guided search has scored when it has made so many trainings."""
    batches = -(-trainings // options["trained"])
    return options["population"] + options["scored"] * batches


def run(
    place: Place,
    seed: int,
    name: str,
    options: dict[str, int],
    evaluate: Callable[[Hashable], Evaluation],
    limit: Budget,
    objective: str,
    guide: PriorGuide | None = None,
) -> list[Evaluation]:
    """Return the history of a search."""
    record = ALGORITHMS.get(name)
    algorithm: Any = record.algorithm(
        place.space,
        np.random.default_rng([seed, *b"search"]),
        objective,
        record.options(**options),
    )
    if guide is not None:
        algorithm.guide = guide

    def by(
        one: Callable[[Hashable], Evaluation],
    ) -> Callable[[Sequence[Hashable], int, int], Iterator[Evaluation]]:
        return lambda genotypes, start, stop: map(one, genotypes[start:stop])

    batch = 1 if evaluate == place.trained else 8
    return run_loop(
        algorithm, by(evaluate), limit, Forget(), train=by(place.trained), batch=batch, ahead=256
    ).evaluations


def worth(place: Place, evaluation: Evaluation) -> float:
    """Return what is judged of a candidate."""
    value = place.judged(place.space.parse(evaluation.genotype))
    assert value is not None
    return value


def shown(rows: Sequence[Row]) -> str:
    """Return the means with their 95 % intervals over seeds, by place, fresh seeds first.

    The tasks of ``transnas_micro`` are one place, their mean, and a table by task.
    """
    pooled = with_mean(rows)
    texts = []
    for place in dict.fromkeys(row["place"] for row in pooled):
        for fresh in (True, False):
            lines = []
            for method, values in of_place(pooled, place, fresh).items():
                cells = [mean(v) for v in values.values()]
                lines.append([method, str(len(values[TRAININGS[0]])), *cells])
            seeds = "fresh seeds" if fresh else f"seeds 0 to {FRESH - 1}"
            titles = (f"{place}, {seeds}: trainings", "seeds", *map(str, TRAININGS))
            if lines:
                texts.append(table(titles, lines))
    return "\n".join([*texts, *by_task(rows)])


def with_mean(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with those of tasks replaced by their mean, where all tasks are there."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if row["place"].startswith(TRANSNAS):
            key = (row["method"], row["seed"], row["trainings"])
            found.setdefault(key, []).append(float(row["judged"]))
    others = [row for row in rows if not row["place"].startswith(TRANSNAS)]
    return others + [
        dict(zip(COLUMNS, (MEAN, *key, str(np.mean(values))), strict=True))
        for key, values in found.items()
        if len(values) == len(TASKS)
    ]


def by_task(rows: Sequence[Row]) -> list[str]:
    """Return the table of each task of ``transnas_micro``, or nothing where there is none."""
    lines = []
    for task in TASKS:
        found = of_place(rows, TRANSNAS + task, fresh=True)
        for trainings in BY_TASK:
            values = [mean(of_method[trainings]) for of_method in found.values()]
            if values:
                lines.append([task, str(trainings), *values])
    if not lines:
        return []
    return [table(("transnas_micro, fresh seeds: task", "trainings", *found), lines)]


def summary(rows: Sequence[Row]) -> str:
    """Return what guided without a prior finds beside random search and evolution, fresh seeds.

    Differences are paired by seeds, with 95 % intervals.
    """
    pooled, lines = with_mean(rows), []
    for place in dict.fromkeys(row["place"] for row in pooled):
        found = of_place(pooled, place, fresh=True)
        for trainings in BY_TASK if "guided" in found else ():
            ours = found["guided"][trainings]
            cells = [mean(ours)]
            for other in ("random", "evolution"):
                cells.append(mean(ours - found[other][trainings][: len(ours)], "+"))
            lines.append([place, str(len(ours)), str(trainings), *cells])
    titles = ("place", "seeds", "trainings", "guided", "over random", "over evolution")
    return table(titles, lines)


def mean(values: np.ndarray, sign: str = "") -> str:
    """Return a mean with half the width of its 95 % interval."""
    return f"{values.mean():{sign}.2f} +- {interval(values):.2f}"


def of_place(rows: Sequence[Row], place: str, fresh: bool) -> dict[str, dict[int, np.ndarray]]:
    """Return what is judged (seeds,) by method and number of trainings; of fresh seeds or not."""
    here = [row for row in rows if row["place"] == place and (int(row["seed"]) >= FRESH) == fresh]
    return {
        method: {
            n: np.array(
                [
                    float(row["judged"])
                    for row in here
                    if row["method"] == method and int(row["trainings"]) == n
                ]
            )
            for n in TRAININGS
        }
        for method in EVERY
        if any(row["method"] == method for row in here)
    }


def interval(values: np.ndarray) -> float:
    """Return half the width of a 95 % interval of the mean."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def picture(rows: Sequence[Row]) -> Figure:
    """Return what is found against the number of trainings, one panel per place.

    A method is shown by its fresh seeds, where it has some.
    """
    rows = with_mean(rows)
    places = list(dict.fromkeys(row["place"] for row in rows))
    figure = Figure(figsize=(4.2 * len(places), 3.7), facecolor="white", layout="constrained")
    for panel, place in zip(np.atleast_1d(figure.subplots(1, len(places))), places, strict=True):
        by_method = {**of_place(rows, place, fresh=False), **of_place(rows, place, fresh=True)}
        for method, values in by_method.items():
            means = [v.mean() for v in values.values()]
            errors = [interval(v) for v in values.values()]
            color = f"C{EVERY.index(method)}"  # one color per method, whichever others are there
            panel.errorbar(
                TRAININGS, means, yerr=errors, marker="o", ms=4, color=color, label=method
            )
        panel.set_xscale("log")
        panel.set_xticks(TRAININGS, [str(n) for n in TRAININGS])
        panel.minorticks_off()
        panel.set_title(place)
        panel.set_xlabel("short trainings")
    figure.axes[0].set_ylabel("judged")
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), fontsize=8)
    return figure


if __name__ == "__main__":
    main()
