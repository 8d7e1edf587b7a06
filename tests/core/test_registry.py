"""The registry: look-up by name, and errors with the remedy."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nas_search.core.errors import InputError
from nas_search.core.registry import Registry


@dataclass(frozen=True)
class Tool:
    name: str
    use: str = ""


@pytest.fixture
def tools() -> Registry[Tool]:
    registry: Registry[Tool] = Registry("tool", "nas_search.core")
    for name in ("saw", "hammer"):
        registry.add(Tool(name))
    return registry


def test_records_are_found_by_name_and_listed_in_order(tools: Registry[Tool]) -> None:
    assert tools.get("saw") == Tool("saw")
    assert tools.names() == ["hammer", "saw"]
    assert list(tools) == [Tool("hammer"), Tool("saw")]


def test_error_of_an_unknown_name_lists_the_possible_ones_and_the_nearest(
    tools: Registry[Tool],
) -> None:
    with pytest.raises(InputError, match=r"unknown tool 'hamer' \(did you mean 'hammer'\?\)"):
        tools.get("hamer")
    with pytest.raises(InputError, match="unknown tool 'x'; possible: hammer, saw$"):
        tools.get("x")


def test_two_records_cannot_share_a_name(tools: Registry[Tool]) -> None:
    tools.add(Tool("saw"))  # the same one: a module imported again
    with pytest.raises(InputError, match="tool 'saw' is registered twice"):
        tools.add(Tool("saw", "wood"))


def test_temporary_record_replaces_its_namesake_within_the_block(tools: Registry[Tool]) -> None:
    with pytest.raises(ZeroDivisionError), tools.temporarily(Tool("saw", "wood")):
        assert tools.get("saw").use == "wood"
        tools.add(Tool("plugin"))
        assert "plugin" in tools.names()
        1 / 0
    assert tools.get("saw").use == ""
    assert tools.names() == ["hammer", "saw"]
