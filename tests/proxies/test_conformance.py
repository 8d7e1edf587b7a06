"""Every registered proxy keeps the laws of a proxy."""

from __future__ import annotations

import pytest

from nas_search.passes.per_sample import Grams
from nas_search.proxies import PROXIES
from nas_search.testing.proxies import GramConformance, ProxyConformance

OWN = [record.name for record in PROXIES if record.score.__module__.startswith("nas_search.")]
"""The scores of the package; other tests may have registered plugins."""

OF_GRAMS = [name for name in OWN if PROXIES.get(name).needs == (Grams,)]
OTHERS = [name for name in OWN if name not in OF_GRAMS]

ORDER_MATTERS = {"zico", "az_trainability", "linear_regions", "near", "dextr"}
"""Scores that split the batch, pair images with random draws, or look at some images alone."""


class TestScoresOfGrams(GramConformance):
    @pytest.fixture(autouse=True, params=OF_GRAMS)
    def each(self, request: pytest.FixtureRequest) -> None:
        type(self).proxy = request.param


class TestOtherScores(ProxyConformance):
    @pytest.fixture(autouse=True, params=OTHERS)
    def each(self, request: pytest.FixtureRequest) -> None:
        type(self).proxy = request.param
        type(self).order_matters = request.param in ORDER_MATTERS


def test_exceptions_are_registered_scores() -> None:
    assert set(OTHERS) >= ORDER_MATTERS
