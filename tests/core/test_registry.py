"""Registries: names, and records for a while."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nas_search.core.errors import InputError
from nas_search.core.registry import Registry


@dataclass(frozen=True)
class Thing:
    name: str
    size: int = 1


def things() -> Registry[Thing]:
    registry: Registry[Thing] = Registry("thing", "nas_search.core")
    registry.add(Thing("box"))
    return registry


def test_a_name_is_registered_once() -> None:
    registry = things()
    registry.add(Thing("box"))  # the same record again, as when a module is imported twice
    with pytest.raises(InputError, match="thing 'box' is registered twice"):
        registry.add(Thing("box", 2))
    with pytest.raises(InputError, match=r"unknown thing 'bax' \(did you mean 'box'\?\)"):
        registry.get("bax")


def test_records_are_held_for_a_while() -> None:
    registry = things()
    with pytest.raises(ZeroDivisionError), registry.temporarily(Thing("box", 2), Thing("bag")):
        registry.add(Thing("sack"))
        assert registry.get("box").size == 2
        with registry.temporarily(Thing("bag", 3)):
            assert registry.get("bag").size == 3
        assert registry.names() == ["bag", "box", "sack"]
        assert registry.get("bag").size == 1
        raise ZeroDivisionError
    assert list(registry) == [Thing("box")]
