"""The reader of configurations: types, choices and bounds, with the key as the user writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from nas_search.commands.reading import at_least, read_as, read_parts, renamed
from nas_search.core.errors import InputError


@dataclass
class Inner:
    rate: float = 0.5


@dataclass
class Schema:
    size: int
    color: Literal["red", "green"] = "red"
    shade: Literal["light", "dark"] | None = None
    count: int | None = at_least(2, None)
    names: list[str] = field(default_factory=list)
    seeds: list[int] | None = None
    widths: list[list[int]] = field(default_factory=list)
    inner: Inner = field(default_factory=Inner)
    anything: Any = None


def test_values_become_what_their_fields_are() -> None:
    values = {"size": "3", "color": "green", "shade": "dark", "count": 2, "names": ["a"]}
    read = read_as(Schema, "", {**values, "inner": {"rate": 1}, "anything": [1, {"b": 2}]})
    assert read == Schema(3, "green", "dark", 2, ["a"], inner=Inner(1.0), anything=[1, {"b": 2}])
    assert read_as(Schema, "", {"size": 1, "shade": None, "count": None}) == Schema(1)


def test_a_list_of_one_needs_no_brackets() -> None:
    assert read_as(Schema, "", {"size": 1, "names": "a", "seeds": 0}) == Schema(
        1, names=["a"], seeds=[0]
    )
    assert read_as(Schema, "", {"size": 1, "seeds": None}).seeds is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "x.size is missing; set x.size=VALUE"),
        ({"size": None}, "x.size: "),
        ({"size": "big"}, "x.size: Value 'big'"),
        ({"size": 1, "color": "blue"}, "unknown x.color 'blue'; possible: red, green"),
        ({"size": 1, "color": None}, "unknown x.color 'None'; possible: red, green"),
        ({"size": 1, "shade": "none"}, "unknown x.shade 'none'; possible: light, dark"),
        ({"size": 1, "count": 1}, "x.count=1 must be 2 or more"),
        ({"size": 1, "names": ""}, "x.names must be a list: write [] for none"),
        ({"size": 1, "names": {"a": 1}}, "x.names must be a list: write [...] around it"),
        ({"size": 1, "widths": 3}, "x.widths must be a list: write [...] around it"),
        ({"size": 1, "widths": [3]}, "x.widths must be a list of lists, e.g. [[...]]"),
        ({"size": 1, "seeds": "a"}, "x.seeds[0]: Value 'a'"),
        ({"size": 1, "inner": {"rate": "fast"}}, "x.inner.rate: Value 'fast'"),
        ({"size": 1, "inner": {"speed": 1}}, "unknown key 'x.inner.speed'; possible: rate"),
        (
            {"size": 1, "colour": "red"},
            "unknown key 'x.colour' (did you mean 'color'?); possible",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_with_the_whole_key(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_as(Schema, "x", values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_schemas_may_share_the_keys_of_a_group() -> None:
    assert read_parts("x", {"rate": 2, "size": 3}, Inner, Schema) == [Inner(2.0), Schema(3)]
    with pytest.raises(InputError, match="unknown key 'x.hue'; possible: anything.* rate"):
        read_parts("x", {"hue": 2, "size": 3}, Inner, Schema)


def test_a_key_that_was_never_renamed_has_no_new_name() -> None:
    assert renamed("proxy.normalization") == ""
    assert "proxy.normalization" in renamed("proxy.normalisation")
