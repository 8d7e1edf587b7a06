"""Every registered proxy keeps the laws of a proxy, and has its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_search.__main__ import CONF
from nas_search.passes.per_sample import Grams
from nas_search.proxies import PROXIES
from nas_search.testing.proxies import GramConformance, ProxyConformance


class TestGradalignI(GramConformance):
    proxy = "gradalign_i"


class TestGradalignII(GramConformance):
    proxy = "gradalign_ii"


class TestGradalignILayerwise(GramConformance):
    proxy = "gradalign_i_layerwise"


class TestGradalignIILayerwise(GramConformance):
    proxy = "gradalign_ii_layerwise"


ORDER_MATTERS = {"zico", "az_trainability", "linear_regions"}
"""Scores that split the batch in two, or pair each image with a random draw."""

OWN = [record.name for record in PROXIES if record.score.__module__.startswith("nas_search.")]
"""The package's own scores: other tests may have registered those of plugins."""

SUITES: list[type[ProxyConformance]] = [*GramConformance.__subclasses__()]
for _name in OWN:
    if PROXIES.get(_name).needs != (Grams,) and not PROXIES.get(_name).needs_pool:
        _suite = type(
            f"Test_{_name}",
            (ProxyConformance,),
            {"proxy": _name, "order_matters": _name in ORDER_MATTERS},
        )
        globals()[_suite.__name__] = _suite
        SUITES.append(_suite)


def test_every_registered_proxy_is_held_to_the_laws() -> None:
    single = [name for name in OWN if not PROXIES.get(name).needs_pool]
    assert sorted(suite.proxy for suite in SUITES) == single


@pytest.mark.parametrize("name", OWN)
def test_every_proxy_has_its_configuration(name: str) -> None:
    lines = (Path(CONF) / "proxy" / f"{name}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")  # a person who opens it reads what it is first
    assert f"name: {name}" in lines
    record = PROXIES.get(name)
    assert f"batch_size: {record.batch_size}" in lines
    assert f"repeats: {record.repeats}" in lines
