"""The choices of a space as a user writes them in yaml.

A choice is a list of values; or integers, both ends included: ``{from: 16, to: 64, step: 8}``; or
either with a condition: ``{values: [3, 5], if: depth >= 3}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import yaml

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.core.text import quote
from nas_search.spaces.named import OPERATORS, Condition, NamedChoice, Value, text_of

MAX_VALUES = 1000
"""Most values of one choice."""

_NAME = re.compile(r"[A-Za-z_]\w*")
_VALUE = re.compile(r"[\w.+-]+")
_CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|>=|<=|>|<)\s*(\S+)\s*")
_ORDERED = (">=", "<=", ">", "<")
_KEYS = ("values", "from", "to", "step", "if")


Fail = Callable[[str], NoReturn]
"""Raises InputError for a problem of one choice."""


def read_choices(choices: Mapping[str, Any] | None, key: str) -> tuple[NamedChoice, ...]:
    """Return the choices in the order in which they are written.

    Args:
        choices: per name a list, or a mapping as above.
        key: the key of the configuration that holds them, for messages.

    Raises:
        InputError: there are none, one has fewer than two values, or is not written as above.
    """
    if not isinstance(choices, Mapping) or not choices:
        raise InputError(
            f"{key} is missing: name what can be chosen, e.g. {key}='{{depth:[2,3],width:[16,32]}}'"
        )
    read: dict[str, NamedChoice] = {}
    for name, written in choices.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(f"{key}: {quote(name)} is no name: letters, digits and _ make one")
        read[name] = _read_choice(name, written, f"{key}.{name}", read)
    return tuple(read.values())


def _read_choice(
    name: str, written: Any, key: str, before: Mapping[str, NamedChoice]
) -> NamedChoice:
    def fail(problem: str) -> NoReturn:
        raise InputError(f"{key}: {problem}")

    if isinstance(written, Mapping):
        for one in written:
            if one not in _KEYS:
                fail(
                    f"unknown key {quote(one)}{did_you_mean(str(one), _KEYS)}; possible: "
                    f"{', '.join(_KEYS)}"
                )
        if ("values" in written) == ("from" in written or "to" in written):
            fail("give values: [...], or from: and to:")
        values = written["values"] if "values" in written else _range(written, fail)
        condition = _condition(written["if"], before, fail) if "if" in written else None
    else:
        values, condition = written, None
    return NamedChoice(name, _values(values, fail), condition)


def _range(written: Mapping[str, Any], fail: Fail) -> Sequence[int]:
    numbers = [written.get("from"), written.get("to"), written.get("step", 1)]
    if any(not isinstance(n, int) or isinstance(n, bool) for n in numbers) or numbers[2] < 1:
        fail(
            f"from, to and step must be integers, step 1 or more, got {quote(dict(written))}; "
            "other numbers are written as a list"
        )
    first, last, step = numbers
    if (last - first) % step:
        fail(f"from {first} to {last} is no number of steps of {step}")
    return range(first, last + 1, step)


def _values(values: Any, fail: Fail) -> tuple[Value, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        fail(f"expected a list of values, e.g. [2,3,4], got {quote(values)}")
    if len(values) > MAX_VALUES:
        fail(f"{len(values):,} values are too many; {MAX_VALUES:,} at most")
    if len(values) < 2:
        fail("a choice has two values or more; write a single one into the function")
    for value in values:
        if not isinstance(value, bool | int | float | str) or not _VALUE.fullmatch(text_of(value)):
            fail(f"{quote(value)} is no value: a number, true, false, or a word without spaces")
    texts = [text_of(value) for value in values]
    for text in texts:
        if texts.count(text) > 1:
            fail(f"{text} is given twice")
    return tuple(values)


def _condition(text: Any, before: Mapping[str, NamedChoice], fail: Fail) -> Condition:
    parts = _CONDITION.fullmatch(str(text))
    if parts is None:
        fail(
            f"cannot read the condition {quote(text)}; write it like 'depth >= 3', with one of "
            f"{', '.join(OPERATORS)}"
        )
    name, comparison, written = parts.groups()
    if name not in before:
        fail(
            f"the condition {quote(text)} is about {quote(name)}{did_you_mean(name, before)}, "
            f"which is no choice above; above are: {', '.join(before) or 'none'}"
        )
    value = yaml.safe_load(written)
    other = before[name]
    numbers = [one for one in (*other.values, value) if isinstance(one, int | float)]
    if comparison in _ORDERED and len(numbers) <= len(other.values):
        fail(f"the condition {quote(text)} compares what are not all numbers; use == or !=")
    texts = [text_of(one) for one in other.values]
    if isinstance(value, str) and value not in texts:
        fail(
            f"the condition {quote(text)} is about {quote(value)}{did_you_mean(value, texts)}, "
            f"which is no value of {name}: {', '.join(texts)}"
        )
    return Condition(name, comparison, value)
