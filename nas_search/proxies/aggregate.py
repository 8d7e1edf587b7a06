"""Scores made of other scores' ranks: they exist for a pool of candidates, not for one.

With r_m(x) the rank of candidate x under member m among N candidates (1 the worst, N the best, ties
averaged), the aggregate is ``sum_m log(r_m(x) / N)``: 0 for a candidate that is best under all
members, and one bad rank weighs more than one good rank. TE-NAS adds plain ranks.

A rank changes with every candidate that is added, so an aggregate is no fitness that candidates
could be given one by one: the value recorded for an early candidate would not be comparable with
a later one's. It is offered where the pool is known: ranking, not search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from nas_search.errors import InputError
from nas_search.proxies.base import PROXIES, ProxyRecord
from nas_search.proxies.measurement import Measurement

Combine = Callable[[np.ndarray], np.ndarray]
"""From ranks (members, N), 1 the worst, to one number a candidate."""


def log_rank_sum(columns: Sequence[Sequence[float]]) -> np.ndarray:
    """Return sum_m log(r_m / N) of every candidate, at most 0.

    Args:
        columns: one sequence of N scores a member, higher is better; NaN is a dead candidate.

    Returns:
        (N,); NaN for candidates that are NaN under any member, which take no rank from others.
    """
    return _over_alive(columns, lambda ranks: np.log(ranks / ranks.shape[1]).sum(0))


def rank_sum(columns: Sequence[Sequence[float]]) -> np.ndarray:
    """Return sum_m r_m / N of every candidate, in (0, number of members]; NaN as above."""
    return _over_alive(columns, lambda ranks: (ranks / ranks.shape[1]).sum(0))


def _over_alive(columns: Sequence[Sequence[float]], combine: Combine) -> np.ndarray:
    values = np.array(columns, dtype=float)
    alive = ~np.isnan(values).any(0)
    total = np.full(values.shape[1], np.nan)
    if alive.any():
        ranks = np.apply_along_axis(rankdata, 1, values[:, alive])
        total[alive] = combine(ranks)
    return total


def members_of(name: str, members: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the single scores that ``name`` is made of; itself where it is one.

    Args:
        name: a registered score.
        members: ``proxy.members``, for ``aggregate``.

    Raises:
        InputError: a member does not exist or is an aggregate itself, or none is named.
    """
    record = PROXIES.get(name)
    if not record.needs_pool:
        if members:
            raise InputError(f"proxy={name} has no members; choose proxy=aggregate")
        return (name,)
    chosen = record.members or tuple(members)
    if not chosen:
        raise InputError(f"proxy={name} needs proxy.members=[NAME,NAME,...]")
    for member in chosen:
        if PROXIES.get(member).needs_pool:
            raise InputError(f"proxy.members: '{member}' is an aggregate itself; list its members")
    return chosen


def aggregate(
    name: str, scores: Mapping[str, Sequence[float]], members: Sequence[str] = ()
) -> np.ndarray:
    """Return the aggregate ``name`` of a pool of candidates.

    Args:
        name: a registered score with ``needs_pool``.
        scores: N scores by the name of each member.
        members: ``proxy.members``, for ``aggregate``.

    Returns:
        (N,), higher is better; NaN for dead candidates.
    """
    columns = [scores[member] for member in members_of(name, members)]
    return rank_sum(columns) if name == "te_nas" else log_rank_sum(columns)


def _no_single_score(measurement: Measurement) -> float:
    raise InputError("an aggregate of ranks has no score for one candidate alone")


PROXIES.add(
    ProxyRecord(
        name="aggregate",
        score=_no_single_score,
        normalisation=None,
        origin="ours",
        source="the log-rank sum of AZ-NAS, of any members",
        summary="sum of the logarithms of the ranks under several scores; for ranking only",
        needs=(),
        needs_pool=True,
        formula="sum_m log(rank_m / N)",
        traps="changes with the pool",
    )
)
PROXIES.add(
    ProxyRecord(
        name="az_nas",
        score=_no_single_score,
        normalisation="batch",
        origin="paper",
        source="Lee & Ham, CVPR 2024; code cvlab-yonsei/AZ-NAS",
        summary="log-rank sum of expressivity, progressivity, trainability, FLOPs; ranking only",
        needs=(),
        needs_pool=True,
        init="kaiming_normal",
        members=("az_expressivity", "az_progressivity", "az_trainability", "flops"),
        formula="sum_m log(rank_m / N)",
        traps="changes with the pool; the published FLOPs are the benchmark's own count",
    )
)
PROXIES.add(
    ProxyRecord(
        name="te_nas",
        score=_no_single_score,
        normalisation="batch",
        origin="paper",
        source="Chen et al., ICLR 2021; code VITA-Group/TENAS",
        summary="rank sum of NTK condition and linear regions; for ranking only",
        needs=(),
        needs_pool=True,
        repeats=3,
        members=("ntk_cond", "linear_regions"),
        formula="rank(ntk_cond) + rank(linear_regions)",
        traps="changes with the pool; the code prunes a supernet by the changes of both",
    )
)
