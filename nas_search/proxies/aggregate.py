"""Scores made of other scores' ranks: they exist for a pool of candidates, not for one.

With r_m(x) the rank of candidate x under member m among N candidates (1 the worst, N the best, ties
averaged), the aggregate is ``sum_m log(r_m(x) / N)``: 0 for a candidate that is best under all
members, and one bad rank weighs more than one good rank. TE-NAS adds plain ranks.

One rule for what has no score: a candidate that lacks one member's score has no aggregate either,
and takes no rank from the others. In a ranking it is then last, as all without a score are.

A rank changes with every candidate that is added, so an aggregate is no fitness that candidates
could be given one by one: the value recorded for an early candidate would not be comparable with
a later one's. It is offered where the pool is known: ``python -m nas_search.rank``, not search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from nas_search.core.errors import InputError
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement


def log_rank_sum(columns: Sequence[ArrayLike]) -> np.ndarray:
    """Return sum_m log(r_m / N) of every candidate, at most 0.

    Args:
        columns: one sequence of N scores a member, higher is better; NaN where there is none.

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
        total[scored] = combine(np.apply_along_axis(rankdata, 1, values[:, scored]))
    return total


def members_of(name: str) -> tuple[str, ...]:
    """Return the single scores that the score ``name`` is made of; itself where it is one.

    Raises:
        InputError: there is no such score, or its members are for the user to name.
    """
    record = PROXIES.get(name)
    if not record.needs_pool:
        return (name,)
    if not record.members:
        raise InputError(
            f"'{name}' has no members of its own; name them: aggregates={{mine: [NAME, NAME, ...]}}"
        )
    return record.members


def check_members(members: Sequence[str]) -> None:
    """Refuse a list of members that no aggregate can be made of.

    Raises:
        InputError: one does not exist, is an aggregate itself or stands there twice, or there are
            fewer than two.
    """
    for member in members:
        if PROXIES.get(member).needs_pool:
            raise InputError(f"'{member}' is an aggregate itself; list its members")
    if len(set(members)) < max(2, len(members)):
        raise InputError(f"{list(members)} must name two different scores or more, each once")


def _no_single_score(measurement: Measurement) -> float:
    raise InputError("an aggregate of ranks has no score for one candidate alone")


PROXIES.add(
    ProxyRecord(
        name="aggregate",
        score=_no_single_score,
        normalization=None,
        origin="ours",
        source="the log-rank sum of AZ-NAS, of any members",
        summary="sum of the logarithms of the ranks under several scores; for ranking only",
        needs=(),
        combine=log_rank_sum,
        formula="sum_m log(rank_m / N)",
        caveats="changes with the pool",
    )
)
PROXIES.add(
    ProxyRecord(
        name="az_nas",
        score=_no_single_score,
        normalization="batch",
        origin="paper",
        source="Lee & Ham, CVPR 2024; code cvlab-yonsei/AZ-NAS",
        summary="log-rank sum of expressivity, progressivity, trainability, FLOPs; ranking only",
        needs=(),
        combine=log_rank_sum,
        init="kaiming_normal",
        members=("az_expressivity", "az_progressivity", "az_trainability", "flops"),
        formula="sum_m log(rank_m / N)",
        caveats="changes with the pool; the published FLOPs are the benchmark's own count",
    )
)
PROXIES.add(
    ProxyRecord(
        name="te_nas",
        score=_no_single_score,
        normalization="batch",
        origin="paper",
        source="Chen et al., ICLR 2021; code VITA-Group/TENAS",
        summary="rank sum of NTK condition and linear regions; for ranking only",
        needs=(),
        combine=rank_sum,
        repeats=3,
        members=("ntk_cond", "linear_regions"),
        formula="rank(ntk_cond) + rank(linear_regions)",
        caveats="changes with the pool; the code prunes a supernet by the changes of both",
    )
)
PROXIES.add(
    ProxyRecord(
        name="vkdnw_agg",
        score=_no_single_score,
        normalization=None,
        origin="paper",
        source="Tybl & Neumann, CVPR 2025; code ondratybl/VKDNW",
        summary="log-rank sum of VKDNW, jacob_cov, expressivity, trainability, FLOPs; ranking only",
        needs=(),
        combine=log_rank_sum,
        init="kaiming_normal",
        members=("vkdnw", "jacob_cov", "az_expressivity", "az_trainability", "flops"),
        formula="sum_m log(rank_m / N)",
        caveats="changes with the pool; members keep their own init (the code's: kaiming_normal)",
    )
)
