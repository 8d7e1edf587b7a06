"""The best of a search, scored once more under another draw of the weights: ``redraw.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from nas_search.core.errors import InputError
from nas_search.core.files import write_json
from nas_search.core.text import read_text

FILE = "redraw.json"


@dataclass(frozen=True)
class Redrawn:
    """A candidate under two draws.

    Attributes:
        number: of its evaluation, from 1.
        score: as the search had it.
        again: under the other draw; None if it got none.
    """

    number: int
    score: float
    again: float | None


def read_redraw(directory: Path) -> list[Redrawn]:
    """Return what the folder of a run keeps, best of the search first; nothing if it has no file.

    Raises:
        InputError: the file is broken.
    """
    file = directory / FILE
    if not file.exists():
        return []
    try:
        return [Redrawn(**one) for one in json.loads(read_text(file))["candidates"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is broken ({error}); delete it") from None


def write_redraw(directory: Path, seed: int, redrawn: Sequence[Redrawn]) -> None:
    """Keep the candidates in the folder of a run.

    Raises:
        OSError: the disk refuses; the previous file is kept.
    """
    write_json(directory / FILE, {"seed": seed, "candidates": [asdict(one) for one in redrawn]})


@dataclass(frozen=True)
class Agreement:
    """How two draws order the same candidates.

    Attributes:
        kept: pairs in the same order under both.
        pairs: pairs that are not level under either.
        first: number of the candidate that is first under the other draw.
        moves: root mean square of a score's change from one draw to the other.
    """

    kept: int
    pairs: int
    first: int
    moves: float


def agreement(redrawn: Sequence[Redrawn]) -> Agreement | None:
    """Return how both draws order candidates; None if fewer than two have both scores."""
    both = [(one.number, one.score, one.again) for one in redrawn if one.again is not None]
    if len(both) < 2:
        return None
    turns = [(a[1] - b[1]) * (a[2] - b[2]) for a, b in combinations(both, 2)]
    first = max(both, key=lambda one: one[2])[0]
    moves = (sum((again - score) ** 2 for _, score, again in both) / len(both)) ** 0.5
    return Agreement(sum(t > 0 for t in turns), sum(t != 0 for t in turns), first, moves)
