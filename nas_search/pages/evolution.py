"""Charts of how a search went: scores and costs."""

from __future__ import annotations

import math
import re
import statistics
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.pages.chart import Chart, Mark
from nas_search.report.curve import FENCE
from nas_search.runs.run import Run
from nas_search.search.guided import TRAINED

WINDOW = 20
"""Candidates that stand for the population of an algorithm that has none."""

BANDS = 500
"""Places along a search where the spread of those alive is shown, at most."""

Scored = list[tuple[int, Evaluation]]
"""Numbers from 1 and evaluations in order, of those with a score."""


def scored(run: Run) -> Scored:
    """Return the evaluations by the score; trainings of a guided search are left out."""
    return [
        (n, e)
        for n, e in enumerate(run.evaluations, 1)
        if e.status == "ok" and run.score in e.scores and TRAINED not in e.scores
    ]


def population_of(run: Run) -> int:
    """Return how many candidates are alive at a time."""
    return int(run.config["algorithm"].get("population") or WINDOW)


def score_chart(run: Run, everyone: Scored) -> Chart:
    """Return the scores over the search, with the best so far and the spread of those alive."""
    size = population_of(run)
    scores = [e.scores[run.score] for _, e in everyone]
    best = list(accumulate(scores, max))
    alive: deque[float] = deque(maxlen=size)
    rows: list[list[Any]] = []
    every = math.ceil(len(everyone) / BANDS)
    for place, ((n, _), score, top) in enumerate(zip(everyone, scores, best, strict=True)):
        alive.append(score)
        banded = place % every == 0 or place == len(everyone) - 1
        spread = np.quantile(alive, [0.1, 0.5, 0.9]).tolist() if banded else [None] * 3
        rows.append([n, score, top, *spread])
    floor = _floor(scores)
    below = 0 if floor is None else sum(score < floor for score in scores)
    exact = run.config["algorithm"]["name"] == "regularized_evolution"
    those = "the population" if exact else f"the last {size} scored"
    return Chart(
        "score",
        f"{run.score} over the search",
        "Every dot is a scored candidate, higher is better. The band holds the middle 80 % of "
        f"{those}"
        f"{f' of {size}' if exact else ''}, the thin line its median."
        + f" {below:,} far below are not drawn."
        * bool(below),
        ("number", run.score, "best so far", "low", "median", "high"),
        rows,
        (
            Mark("band", "number", "low", those, "high"),
            Mark("dots", "number", run.score, "candidates"),
            Mark("line", "number", "median", "median", points=False),
            Mark("steps", "number", "best so far", "best so far", points=False),
        ),
        "evaluation",
        run.score,
        "number",
        ("number", run.score, "params", "genotype"),
        floor=floor,
    )


def objective_charts(run: Run, everyone: Scored) -> list[Chart]:
    """Return a chart per cost: scores against it, with the front of both."""
    names = list(everyone[0][1].costs) if everyone else []
    costs: dict[str, list[float]] = {
        name: [e.costs.get(name, math.nan) for _, e in everyone] for name in names
    }
    for name in ("params", "macs"):
        own = [getattr(e, name) for _, e in everyone]
        if any(value is not None for value in own):
            told = f"{name} as scored" if name in costs else name
            costs[told] = [math.nan if value is None else float(value) for value in own]
    return [_cost_chart(run, everyone, name, values) for name, values in costs.items()]


def _cost_chart(run: Run, everyone: Scored, name: str, costs: Sequence[float]) -> Chart:
    points = [
        (value, e.scores[run.score], n)
        for value, (n, e) in zip(costs, everyone, strict=True)
        if math.isfinite(value)
    ]
    points.sort(key=lambda point: (point[0], -point[1]))
    rows: list[list[Any]] = []
    highest = -math.inf
    for value, score, n in points:
        rows.append([n, value, score, score > highest])
        highest = max(highest, score)
    return Chart(
        "cost-" + re.sub(r"\W+", "-", name),
        f"{run.score} against {name}",
        "The line is the front: nobody scores more for less.",
        ("number", name, run.score, "front"),
        rows,
        (
            Mark("dots", name, run.score, "candidates"),
            Mark("steps", name, run.score, "front", where=("front", True)),
        ),
        name,
        run.score,
        "number",
        ("number", run.score, name, "genotype"),
        floor=_floor([score for _, score, _ in points]),
    )


def _floor(scores: Sequence[float]) -> float | None:
    """Return where an axis begins so that far outliers do not flatten the rest; None: anywhere."""
    if len(scores) < 8:
        return None
    first, _, third = statistics.quantiles(scores, n=4)
    fence = first - FENCE * (third - first)
    inside = [score for score in scores if score >= fence]
    if len(inside) == len(scores) or third <= first:
        return None
    return min(inside) - 0.05 * (max(inside) - min(inside))
