"""Spaces whose genotypes are named choices: every score of the package has a value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.priors import FITTED
from nas_search.proxies import PROXIES
from nas_search.spaces.mobilenet import MobilenetSpace
from tests.scoring.problem import task
from tests.spaces.test_module import made

SPACES: dict[str, Any] = {"module": made(), "mobilenet": MobilenetSpace()}
BLIND: dict[str, tuple[str, ...]] = {
    "module": ("az_expressivity", "az_progressivity", "az_trainability", "wrcor"),  # of cells
}
"""Scores that are not defined there: a search by one of them is refused."""


@pytest.mark.parametrize("name", SPACES)
def test_every_score_has_a_value(name: str) -> None:
    space, blind = SPACES[name], BLIND.get(name, ())
    scores = tuple(one for one in PROXIES.names() if one not in (*FITTED, *blind))
    genotype = space.sample(np.random.default_rng(1))
    evaluation = task(space, proxies=scores).evaluate(genotype)
    assert set(evaluation.scores) == set(scores), evaluation.reason
    assert all(map(math.isfinite, evaluation.scores.values()))
    for one in blind:
        with pytest.raises(InputError, match="needs a network with"):
            task(space, proxies=(one,)).evaluate(genotype)
