"""Every registered proxy keeps the laws of a proxy."""

from __future__ import annotations

from nas_search.passes import Grams
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
    if PROXIES.get(_name).needs != (Grams,):
        _suite = type(
            f"Test_{_name}",
            (ProxyConformance,),
            {"proxy": _name, "order_matters": _name in ORDER_MATTERS},
        )
        globals()[_suite.__name__] = _suite
        SUITES.append(_suite)


def test_every_registered_proxy_is_held_to_the_laws() -> None:
    assert sorted(suite.proxy for suite in SUITES) == OWN
