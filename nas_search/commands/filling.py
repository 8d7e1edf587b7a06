"""Whether a search asks for enough at a time to fill a GPU."""

from __future__ import annotations

CHILDREN = 64
"""Children at a time in conf/experiment/gpu.yaml."""

ENOUGH = 500
"""Evaluations from which on no loss by so many at a time is seen (docs/search_quality.md)."""


def filling_remark(device: str, batch: int, evolves: bool, evaluations: int | None) -> str:
    """Return that a GPU waits for want of candidates, and what to do; empty where it does not.

    Args:
        device: where candidates are scored.
        batch: candidates per proposal.
        evolves: whether it is regularized evolution, which proposes so many from each population.
        evaluations: budget of the search; None for any number.
    """
    few = evaluations is not None and evaluations < ENOUGH
    if not device.startswith("cuda") or batch >= CHILDREN or not evolves or few:
        return ""
    return (
        f"a GPU scores {CHILDREN} candidates in little more time than {batch}: experiment=gpu asks "
        f"for {CHILDREN} children at a time, another search, which from {ENOUGH} evaluations on "
        "loses nothing that was seen (docs/search_quality.md)"
    )
