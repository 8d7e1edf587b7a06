"""Candidates that are scored together, odd and dead ones among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from nas_search.spaces.darts.genotype import Genotype
from nas_search.spaces.nasbench101 import Nasbench101Space
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import full_darts

CELLS = Nasbench201Space()
DEAD = CELLS.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
SPACES: dict[str, Any] = {
    "darts": full_darts(),
    "nasbench101": Nasbench101Space(),
    "nasbench201": CELLS,
}


@st.composite
def candidates_of(draw: Any, space: str) -> list[Any]:
    """Draw one to six candidates: random ones, repeated ones, mutants, dead ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = [SPACES[space].sample(rng)]
    for kind in draw(st.lists(st.sampled_from(["new", "again", "mutant", "odd"]), max_size=5)):
        if kind == "new":
            found.append(SPACES[space].sample(rng))
        elif kind == "again":
            found.append(found[int(rng.integers(len(found)))])
        elif kind == "mutant":
            found.append(SPACES[space].mutate(found[-1], rng))
        elif space == "darts":
            found.append(odd_cells(rng))
        else:
            found.append(DEAD if space == "nasbench201" else wide_cell(rng))
    return found


def odd_cells(rng: np.random.Generator) -> Genotype:
    """Return cells such as only a person writes: other outputs, an input twice, zeros."""
    base = SPACES["darts"].sample(rng)
    width = int(rng.integers(1, 5))
    concat = tuple(sorted(rng.permutation(4)[:width] + 2))
    normal = (*base.normal[:6], base.normal[7], base.normal[7])
    concat = tuple(int(node) for node in concat)
    return Genotype(normal, concat, base.reduce, tuple(reversed(concat)))


def wide_cell(rng: np.random.Generator) -> Any:
    """Return a cell of the most frequent width, so that several are scored together."""
    space = SPACES["nasbench101"]
    return next(g for g in iter(lambda: space.sample(rng), None) if g.graph.sources[-1] == (5,))
