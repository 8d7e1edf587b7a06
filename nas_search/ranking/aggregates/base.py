"""The interface of an aggregate, and how ranks are combined.

With r_m(x) the rank of candidate x under member m among N candidates (1 the worst, N the best, ties
averaged), the aggregate is ``sum_m log(r_m(x) / N)``: 0 for a candidate that is best under all
members, and one bad rank weighs more than one good rank. TE-NAS adds plain ranks.

A candidate without a score under one member has no aggregate, and does not count in the ranks of
the others. A ranking lists it last, like every candidate without a score.

Ranks change with every added candidate, so an aggregate cannot be the fitness of a search: values
of early and late candidates would not be comparable. It needs the full set of candidates:
``python -m nas_search.rank``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from nas_search.core.registry import Registry

if TYPE_CHECKING:  # it needs torch
    from nas_search.proxies.base import Origin

Combine = Callable[[Sequence[ArrayLike]], np.ndarray]
"""Maps one column of N scores per member (NaN for no score) to the N aggregates."""


@dataclass(frozen=True)
class AggregateRecord:
    """A registered aggregate of ranks.

    Attributes:
        name: the name in ``proxies=[...]`` of ``python -m nas_search.rank``.
        combine: function of the members' columns.
        members: names of the single scores; empty if the user names them.
        origin: origin of the formula, see :data:`nas_search.proxies.base.Origin`.
        source: publication of the formula.
        summary: one line on what it measures.
        formula: the aggregate in one line.
        caveats: known weaknesses; empty if there are none.
    """

    name: str
    combine: Combine
    members: tuple[str, ...]
    origin: Origin
    source: str
    summary: str
    formula: str = ""
    caveats: str = ""


AGGREGATES: Registry[AggregateRecord] = Registry("aggregate", "nas_search.ranking.aggregates")


def log_rank_sum(columns: Sequence[ArrayLike]) -> np.ndarray:
    """Return sum_m log(r_m / N) of every candidate, at most 0.

    Args:
        columns: one sequence of N scores per member, higher is better; NaN for no score.

    Returns:
        (N,); NaN for candidates that are NaN under any member.
    """
    return _over_scored(columns, lambda ranks: np.log(ranks / ranks.shape[1]).sum(0))


def rank_sum(columns: Sequence[ArrayLike]) -> np.ndarray:
    """Return sum_m r_m / N of every candidate, in (0, number of members]; NaN as above."""
    return _over_scored(columns, lambda ranks: (ranks / ranks.shape[1]).sum(0))


def _over_scored(
    columns: Sequence[ArrayLike], combine: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    values = np.array(columns, dtype=float)
    scored = ~np.isnan(values).any(0)
    total = np.full(values.shape[1], np.nan)
    if scored.any():
        from scipy.stats import rankdata  # imported here: a help text lists aggregates at once

        total[scored] = combine(np.apply_along_axis(rankdata, 1, values[:, scored]))
    return total
