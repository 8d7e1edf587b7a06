"""Every registered proxy keeps the laws of a proxy, and has its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_search.commands.command import CONF
from nas_search.passes import Grams
from nas_search.proxies import PROXIES
from nas_search.testing.proxies import GramConformance, ProxyConformance

OWN = [record.name for record in PROXIES if record.score.__module__.startswith("nas_search.")]
"""The package's own scores: other tests may have registered those of plugins."""

SINGLE = [name for name in OWN if not PROXIES.get(name).needs_pool]
OF_GRAMS = [name for name in SINGLE if PROXIES.get(name).needs == (Grams,)]
OTHERS = [name for name in SINGLE if name not in OF_GRAMS]

ORDER_MATTERS = {"zico", "az_trainability", "linear_regions"}
"""Scores that split the batch in two, or pair each image with a random draw."""


class TestScoresOfGrams(GramConformance):
    @pytest.fixture(autouse=True, params=OF_GRAMS)
    def each(self, request: pytest.FixtureRequest) -> None:
        type(self).proxy = request.param


class TestOtherScores(ProxyConformance):
    @pytest.fixture(autouse=True, params=OTHERS)
    def each(self, request: pytest.FixtureRequest) -> None:
        type(self).proxy = request.param
        type(self).order_matters = request.param in ORDER_MATTERS


def test_the_exceptions_are_scores() -> None:
    assert set(OTHERS) >= ORDER_MATTERS


@pytest.mark.parametrize("name", OWN)
def test_every_proxy_has_its_configuration(name: str) -> None:
    lines = (Path(CONF) / "proxy" / f"{name}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")  # a person who opens it reads what it is first
    assert f"name: {name}" in lines
    record = PROXIES.get(name)
    assert f"batch_size: {record.batch_size}" in lines
    assert f"repeats: {record.repeats}" in lines
