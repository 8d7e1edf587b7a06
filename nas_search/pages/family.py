"""Where the winner comes from: its ancestors, and what every step changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nas_search.core.evaluation import Evaluation
from nas_search.pages.cell_svg import cell_svg
from nas_search.pages.kept import operations
from nas_search.pages.page import number
from nas_search.spaces.base import SearchSpace

DRAWN = 6
"""Ancestors that are drawn, the youngest; the others are told in words."""

STEPS = 30
"""Ancestors that are told, the youngest."""


@dataclass(frozen=True)
class Step:
    """An ancestor: what is said of it, and its drawings with their names."""

    says: str
    cells: Sequence[tuple[str, Markup]]


@dataclass(frozen=True)
class Family:
    """The line from a random architecture to the winner, the oldest first."""

    text: str
    steps: Sequence[Step]


def line_of(parents: Sequence[Sequence[int]], winner: int) -> list[int]:
    """Return the numbers of the winner's ancestors, the oldest first, and itself last.

    Of two parents, the first counts: the one that the crossing began from.
    """
    line = [winner]
    while 0 < line[-1] <= len(parents) and parents[line[-1] - 1]:
        older = parents[line[-1] - 1][0]
        if older in line:  # a damaged note
            break
        line.append(older)
    return line[::-1]


def family_of(
    parents: Sequence[Sequence[int]],
    evaluations: Sequence[Evaluation],
    winner: int,
    space: SearchSpace[Any],
    score: str,
) -> Family | None:
    """Return the family of a candidate; None if the run holds no parents."""
    if not parents:
        return None
    whole = line_of(parents, winner)
    line = whole[-STEPS:]
    graphs = [space.graphs(space.parse(evaluations[n - 1].genotype)) for n in line]
    steps = []
    for place, n in enumerate(line):
        evaluation = evaluations[n - 1]
        value = number(evaluation.scores.get(score), 5)
        if place == 0 and len(line) < len(whole):
            says = f"Candidate {n}, {len(whole) - len(line):,} mutations on: {score} {value}"
        elif place == 0:
            says = f"Candidate {n}, drawn at random: {score} {value}"
        else:
            others = " and ".join(map(str, parents[n - 1]))
            change = changes(operations(graphs[place - 1]), operations(graphs[place]))
            says = f"Candidate {n}, from {others}: {score} {value}. {change}"
        drawn = len(line) - place <= DRAWN
        cells = [
            (graph.name, cell_svg(graph, f"{graph.name} cell of candidate {n}"))
            for graph in graphs[place] * drawn
        ]
        steps.append(Step(says, cells))
    count = len(whole) - 1
    text = (
        f"Number 1 is {count:,} mutation{'s' * (count != 1)} away from a random architecture."
        if count
        else "Number 1 was drawn at random, not made from another."
    )
    return Family(text, steps)


def changes(before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> str:
    """Return what differs between the operations of two genotypes, in words."""
    gone, come = list(before), list(after)
    for one in before:
        if one in come:
            come.remove(one)
            gone.remove(one)
    said = []
    for place, operation in list(come):
        old = next((pair for pair in gone if pair[0] == place), None)
        if old is not None:
            gone.remove(old)
            come.remove((place, operation))
            said.append(f"{place}: {old[1]} became {operation}")
    said += [f"{place}: {operation} is gone" for place, operation in gone]
    said += [f"{place}: {operation} is new" for place, operation in come]
    return "; ".join(said) if said else "The connections changed, the operations did not."
