"""What evolution kept: the share of each operation or choice over a search, and by place."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.pages.chart import Chart, Mark
from nas_search.pages.evolution import Scored, population_of
from nas_search.pages.heat import Heat, cell
from nas_search.runs.run import Run
from nas_search.spaces.base import SearchSpace

LOOKED_AT = 600
"""Genotypes that are parsed at most to count operations; of more, evenly spaced ones."""

POINTS = 40
"""Places along a search where operations are counted."""

OPERATIONS = "operations"
"""Title of what cells are made of."""

Named = tuple[str, str]
"""A place, and what is there."""


@dataclass(frozen=True)
class Kind:
    """What is counted together.

    Attributes:
        title: of its chart and table.
        names: all that was found, in the order of columns.
        found: (n) what each genotype has at its places.
    """

    title: str
    names: tuple[str, ...]
    found: tuple[tuple[Named, ...], ...]

    @property
    def heading(self) -> str:
        """The title as a sentence begins."""
        return self.title[:1].upper() + self.title[1:]


def operations(graphs: Sequence[Any]) -> list[Named]:
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


def kinds_of(space: SearchSpace[Any], genotypes: Sequence[Any]) -> list[Kind]:
    """Return what there is to count in ``genotypes``.

    The operations of cells are one kind. Where a stage has a depth, a kernel and a width, each is
    a kind of its own: hardly two networks have a whole stage in common.
    """
    choices = [space.parameters(one) for one in genotypes] if not space.cells else []
    titles = list(dict.fromkeys(_title(place) for one in choices for place in one))
    if len(titles) < 2:
        found = tuple(tuple(operations(space.graphs(one))) for one in genotypes)
        common = Counter(name for one in found for _, name in one).most_common()
        return [Kind(OPERATIONS, tuple(name for name, _ in common), found)]
    kinds = []
    for title in titles:
        found = tuple(
            tuple((place, value) for place, (value, _) in one.items() if _title(place) == title)
            for one in choices
        )
        names = sorted({name for one in found for _, name in one}, key=_natural)
        kinds.append(Kind(title, tuple(names), found))
    return kinds


def kept(run: Run, space: SearchSpace[Any], everyone: Scored) -> tuple[list[Chart], list[Heat]]:
    """Return the shares of operations over the search, and where which one was kept."""
    if len(everyone) < 4:
        return [], []
    step = max(1, math.ceil(len(everyone) / LOOKED_AT))
    looked = everyone[::step]
    try:
        kinds = kinds_of(space, [space.parse(e.genotype) for _, e in looked])
    except InputError:
        return [], []
    window = max(2, min(population_of(run) // step, len(looked) // 2))
    numbers = [n for n, _ in looked]
    charts = [_shares(kind, numbers, window, step) for kind in kinds]
    heats = [_places(kind, window, step) for kind in kinds if any(kind.found)]
    return charts, heats


def _shares(kind: Kind, numbers: Sequence[int], window: int, step: int) -> Chart:
    """Return the share of each name among the last ``window`` looked at, along the search."""
    ends = sorted(
        {*np.linspace(window, len(numbers), min(POINTS, len(numbers))).astype(int).tolist()}
    )
    rows = []
    for end in ends:
        counts = Counter(name for one in kind.found[end - window : end] for _, name in one)
        total = sum(counts.values()) or 1
        rows.append([numbers[end - 1], *(100 * counts[name] / total for name in kind.names)])
    sampled = f" (every {step}. candidate was looked at)" if step > 1 else ""
    what = "operation in the cells" if kind.title == OPERATIONS else f"{kind.title} in all places"
    return Chart(
        re.sub(r"\W+", "-", kind.title),
        f"{kind.heading} over the search",
        f"The share of each {what} of the last {window * step} scored candidates{sampled}. "
        "What rises is what the score rewards.",
        ("number", *kind.names),
        rows,
        tuple(Mark("line", "number", name, name) for name in kind.names),
        "evaluation",
        "share, %",
    )


def _places(kind: Kind, window: int, step: int) -> Heat:
    """Return what the last ``window`` looked at have where, beside the first."""
    first, last = (_by_place(part) for part in (kind.found[:window], kind.found[-window:]))
    rows = []
    for place in sorted({place for place, _ in [*first, *last]}, key=_natural):
        cells = []
        for name in kind.names:
            was, now = (share.get((place, name), 0.0) for share in (first, last))
            cells.append(cell(now - was, f"{now:.0%}" if was or now else "", 0.8))
        rows.append((place, cells))
    what = "operation" if kind.title == OPERATIONS else kind.title
    text = (
        f"How many of the last {window * step} scored have the {what} at this place. Colored by "
        f"the change since the first {window * step}: blue has risen, orange has fallen."
    )
    return Heat(f"{kind.heading} by place", text, "place", kind.names, rows)


def _by_place(part: Sequence[Iterable[Named]]) -> dict[Named, float]:
    counts = Counter(pair for one in part for pair in one)
    return {pair: count / len(part) for pair, count in counts.items()}


def _title(place: str) -> str:
    """Return what a place has in common with others: its name without its number."""
    return re.sub(r"\W*\d+$", "", place)


def _natural(text: str) -> list[Any]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)
    ]
