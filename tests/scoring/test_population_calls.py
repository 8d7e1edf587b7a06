"""What a stack launches follows from the layers of a network, not from the number of candidates."""

from __future__ import annotations

import pytest

from benchmarks.counting import MACRO
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
@pytest.mark.parametrize("space", ("darts", "nasbench201"))
def test_64_full_size_networks_take_3000_launches(space: str) -> None:
    """DARTS of 8 cells takes 2,931, NAS-Bench-201 2,965."""
    assert Population(space, 64, 32, 32, **MACRO[space]).counts().launches <= 3000
