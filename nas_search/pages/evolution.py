"""Charts of how a search went: scores, costs, and what of the cells evolution kept."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.pages.chart import Chart, Mark
from nas_search.pages.heat import Heat, cell
from nas_search.report.curve import FENCE
from nas_search.runs.run import Run
from nas_search.search.guided import TRAINED
from nas_search.spaces.base import SearchSpace

WINDOW = 20
"""Candidates that stand for the population of an algorithm that has none."""

LOOKED_AT = 600
"""Genotypes that are parsed at most to count operations; of more, evenly spaced ones."""

POINTS = 40
"""Places along a search where operations are counted."""

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


def operations(graphs: Sequence[Any]) -> list[tuple[str, str]]:
    """Return (place, operation) of a genotype's cells: on edges, or at nodes that name one."""
    found = []
    for graph in graphs:
        for node in graph.nodes:
            named = re.fullmatch(r"\d+: (.+)", node)
            if named:
                found.append((f"{graph.name}, node {node.partition(':')[0]}", named[1]))
        for edge in graph.edges:
            if edge.label:
                found.append((f"{graph.name}, {edge.source} \u2192 {edge.target}", edge.label))
    return found


def kept(run: Run, space: SearchSpace[Any], everyone: Scored) -> tuple[list[Chart], list[Heat]]:
    """Return the shares of operations over the search, and where which one was kept."""
    size = population_of(run)
    if len(everyone) < 4:
        return [], []
    step = max(1, math.ceil(len(everyone) / LOOKED_AT))
    looked = everyone[::step]
    try:
        cells = [operations(space.graphs(space.parse(e.genotype))) for _, e in looked]
    except InputError:
        return [], []
    window = max(2, min(size // step, len(looked) // 2))
    ends = sorted(
        {*np.linspace(window, len(looked), min(POINTS, len(looked))).astype(int).tolist()}
    )
    names = [name for name, _ in Counter(op for one in cells for _, op in one).most_common()]
    rows = []
    for end in ends:
        counts = Counter(op for one in cells[end - window : end] for _, op in one)
        total = sum(counts.values()) or 1
        rows.append([looked[end - 1][0], *(100 * counts[name] / total for name in names)])
    sampled = f" (every {step}. candidate was looked at)" if step > 1 else ""
    chart = Chart(
        "operations",
        "Operations over the search",
        f"The share of each operation in the cells of the last {window * step} scored "
        f"candidates{sampled}. What rises is what the score rewards.",
        ("number", *names),
        rows,
        tuple(Mark("line", "number", name, name) for name in names),
        "evaluation",
        "share, %",
    )
    return [chart], _places(cells[:window], cells[-window:], names, window * step)


def _places(
    first: Sequence[Any], last: Sequence[Any], names: Sequence[str], window: int
) -> list[Heat]:
    shares = [
        {pair: count / len(part) for pair, count in Counter(p for one in part for p in one).items()}
        for part in (first, last)
    ]
    places = sorted({place for part in shares for place, _ in part}, key=_natural)
    rows = []
    for place in places:
        now = [shares[1].get((place, name), 0.0) for name in names]
        was = [shares[0].get((place, name), 0.0) for name in names]
        gains = [a - b for a, b in zip(now, was, strict=True)]
        rows.append(
            (
                place,
                [
                    cell(gain, f"{share:.0%}" if share or gain else "", 0.8)
                    for gain, share in zip(gains, now, strict=True)
                ],
            )
        )
    text = (
        f"How many of the last {window} scored have the operation at this place. Colored by the "
        f"change since the first {window}: blue has risen, orange has fallen."
    )
    return [Heat("Operations by place", text, "place", names, rows)] if rows else []


def _natural(text: str) -> list[Any]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)
    ]


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
