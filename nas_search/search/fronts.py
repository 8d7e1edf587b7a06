"""Sets of architectures of which none is better than another: fronts, hypervolume, a choice.

Points are rows of (n, m) arrays, one column per objective, less is better in all of them
(:func:`losses`); they are finite.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from deap import tools

from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objectives, values_of
from nas_search.search.individual import Individual, fitness_of

MARGIN = 0.1
"""How far behind the worst of the front the reference point lies, in widths of the front."""


def losses(objectives: Objectives, values: Sequence[Sequence[float]]) -> np.ndarray:
    """Return values (n, m) of ``objectives`` as points: those to be maximized change their sign."""
    signs = np.array([-objective.weight for objective in objectives])
    points: np.ndarray = np.asarray(values, dtype=np.float64).reshape(-1, len(objectives)) * signs
    return points


def front_numbers(points: np.ndarray) -> np.ndarray:
    """Return (n,) the front of each point from 1: no other of the same or a later front dominates.

    Equal points are of the same front.
    """
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    numbers: np.ndarray = moocore.pareto_rank(points).astype(np.int64) + 1
    return numbers


def reference_point(front: np.ndarray) -> np.ndarray:
    """Return (m,) the point from which hypervolumes of a ``front`` (n, m) are measured.

    It lies :data:`MARGIN` of the front's width behind its worst value in every objective, so that
    the ends of the front count; where all of a front are equal in an objective, a tenth of it.
    """
    worst = front.max(axis=0)
    width = worst - front.min(axis=0)
    alone = np.where(worst != 0, np.abs(worst), 1.0)
    reference: np.ndarray = worst + MARGIN * np.where(width > 0, width, alone)
    return reference


def hypervolume(points: np.ndarray, front: np.ndarray) -> float:
    """Return the share in [0, 1] that ``points`` dominate of the box around ``front``.

    The box lies between the best values of ``front`` and its :func:`reference_point`. Points
    beyond its best values count as if they were there.

    Args:
        points: (n, m), n may be 0.
        front: (k, m), the front that is measured against, k > 0.
    """
    if not len(points):
        return 0.0
    best, reference = front.min(axis=0), reference_point(front)
    scaled = (points - best) / (reference - best)
    return float(moocore.hypervolume(np.clip(scaled, 0.0, 1.0), ref=np.ones(front.shape[1])))


def hypervolumes(points: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Return (n,) the hypervolume of the first 1, 2, ..., n of ``points``, see above."""
    values = np.zeros(len(points))
    kept = np.zeros((0, front.shape[1]))
    volume = 0.0
    for number, point in enumerate(points):
        if not (kept <= point).all(axis=1).any():
            kept = np.vstack([kept[~(point <= kept).all(axis=1)], point])
            volume = hypervolume(kept, front)
        values[number] = volume
    return values


def along(front: np.ndarray) -> list[int]:
    """Return the rows of a ``front`` (n, m) in the order in which they are chosen.

    First the point that dominates the most by itself, the best compromise; then always the one that
    adds the most hypervolume to those before it. Equal gains are taken in the order of the rows.
    (Greedy hypervolume subset selection: Guerreiro, Fonseca and Paquete, 2016.)
    """
    if not len(front):
        return []
    chosen: list[int] = []
    volume = 0.0
    # Gains never grow while points are chosen: one that is still the largest when it is computed
    # anew is the largest of all.
    heap = [(-np.inf, row, -1) for row in range(len(front))]
    while heap:
        gain, row, when = heapq.heappop(heap)
        if when == len(chosen):
            chosen.append(row)
            volume -= gain
            continue
        gain = hypervolume(front[[*chosen, row]], front) - volume
        heapq.heappush(heap, (-round(gain, 12), row, len(chosen)))
    return chosen


@dataclass(frozen=True)
class Ranked:
    """An architecture with its place among all that a search with several objectives scored.

    Attributes:
        number: of its evaluation, from 1 in the order in which candidates were proposed.
        evaluation: its evaluation.
        values: one per objective.
        front: 1 for those that no other dominates, 2 for those that only they dominate, ...
        crowding: distance to its neighbors on its front, after Deb et al. 2002; infinite at ends.
    """

    number: int
    evaluation: Evaluation
    values: tuple[float, ...]
    front: int
    crowding: float


def ranked_by_fronts(evaluations: Sequence[Evaluation], objectives: Objectives) -> list[Ranked]:
    """Return all that have every objective, front by front.

    The first front is in the order of :func:`along`; so the first k are those to choose if k are
    wanted. Later ones are ordered by crowding distance, the loneliest first.
    """
    valued = [
        (number, evaluation, values)
        for number, evaluation in enumerate(evaluations, 1)
        if (values := values_of(objectives, evaluation)) is not None
    ]
    points = losses(objectives, [values for *_, values in valued])
    fronts = front_numbers(points)
    crowding = _crowding(objectives, [values for *_, values in valued], fronts)
    all_ranked = [
        Ranked(*one, int(front), distance)
        for one, front, distance in zip(valued, fronts, crowding, strict=True)
    ]
    first = [row for row, front in enumerate(fronts) if front == 1]
    rest = [one for one in all_ranked if one.front > 1]
    return [
        *(all_ranked[first[row]] for row in along(points[first])),
        *sorted(rest, key=lambda one: (one.front, -one.crowding, one.number)),
    ]


def _crowding(
    objectives: Objectives, values: Sequence[tuple[float, ...]], fronts: np.ndarray
) -> list[float]:
    """Return the crowding distance of each candidate on its front, as DEAP computes it."""
    fitness = fitness_of(objectives)
    individuals = [Individual(None, "", fitness(one)) for one in values]
    for front in sorted(set(fronts.tolist())):
        rows = np.flatnonzero(fronts == front)
        tools.emo.assignCrowdingDist([individuals[row] for row in rows])
    return [float(one.fitness.crowding_dist) for one in individuals]
