"""What a stack launches follows from the layers of a network, not from the number of candidates."""

from __future__ import annotations

import pytest

from benchmarks.population_calls import Population

SIZES = {
    "darts": {"cells": 3, "channels": 2},
    "nasbench201": {"cells": 1, "channels": 4},
}


@pytest.mark.parametrize("space", SIZES)
def test_launches_and_reads_do_not_grow_with_the_candidates(space: str) -> None:
    many, more = (Population(space, k, 4, 16, **SIZES[space]).counts() for k in (16, 48))
    # Once every operation is at every level, nothing is added: a few levels are rare.
    assert more.launches < 1.15 * many.launches
    assert more.calls < 1.2 * many.calls
    assert many.reads == more.reads == 2


@pytest.mark.slow
def test_a_stack_launches_what_few_networks_launch() -> None:
    """At 64 candidates, full size takes 3,309 (darts, 8 cells) and 3,126 (NAS-Bench-201)."""
    darts = Population("darts", 64, 4, 16, cells=8, channels=4).counts()
    assert darts.launches < 3400
    cells = Population("nasbench201", 64, 4, 16, cells=5, channels=4).counts()
    assert cells.launches < 3200
