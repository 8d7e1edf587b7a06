"""Every registered proxy keeps the laws of a proxy, and has its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_search.__main__ import CONF
from nas_search.proxies import PROXIES
from nas_search.testing.proxies import ProxyConformance


class TestGradalign(ProxyConformance):
    proxy = "gradalign"


class TestGradalignI(ProxyConformance):
    proxy = "gradalign_i"


class TestGradalignII(ProxyConformance):
    proxy = "gradalign_ii"


class TestGradalignILayerwise(ProxyConformance):
    proxy = "gradalign_i_layerwise"


class TestGradalignIILayerwise(ProxyConformance):
    proxy = "gradalign_ii_layerwise"


def test_every_registered_proxy_is_held_to_the_laws() -> None:
    tested = [suite.proxy for suite in ProxyConformance.__subclasses__()]
    assert sorted(tested) == PROXIES.names()


@pytest.mark.parametrize("name", PROXIES.names())
def test_every_proxy_has_its_configuration(name: str) -> None:
    lines = (Path(CONF) / "proxy" / f"{name}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")  # a person who opens it reads what it is first
    assert f"name: {name}" in lines
