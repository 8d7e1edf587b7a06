"""Search spaces whose choices have names and values: ``depth=3,width=64``.

A choice may depend on the value of one before it (:class:`Condition`): ``width3`` may count where
``depth >= 3``. A genotype has a value of every choice, so that none is lost by a detour over less
depth; what does not count is not moved by mutation, not given to the network, and not part of the
canonical form.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.core.text import quote
from nas_search.spaces.base import CellGraph
from nas_search.spaces.choices import Choices, ChoiceSpace
from nas_search.spaces.text_form import unwrap

Value = bool | int | float | str

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
"""Comparisons in a condition; the last four are of numbers."""


def text_of(value: Value) -> str:
    """Return a value as it stands in a genotype: ``3``, ``0.25``, ``true``, ``wide``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Condition:
    """When a choice counts.

    Attributes:
        name: of a choice before it; where that does not count, neither does this.
        comparison: one of :data:`OPERATORS`.
        value: what that choice's value is compared with.
    """

    name: str
    comparison: str
    value: Value

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {text_of(self.value)}"

    def holds(self, value: Value) -> bool:
        """Whether it is met by a value of the other choice."""
        return OPERATORS[self.comparison](value, self.value)


@dataclass(frozen=True)
class NamedChoice:
    """One choice: its name, its values of different texts, and when it counts (None: always)."""

    name: str
    values: tuple[Value, ...]
    condition: Condition | None = None


@dataclass(frozen=True)
class NamedChoices(Choices):
    """A genotype: the texts of the values, and the names of the choices."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        pairs = zip(self.names, self.choices, strict=True)
        return ",".join(f"{name}={value}" for name, value in pairs)


class NamedSpace(ChoiceSpace[NamedChoices]):
    """All combinations of the values of some choices; a subclass defines :meth:`build`.

    Args:
        choices: one or more; a condition is about a choice before its own.
    """

    labels: tuple[str, ...]

    def __init__(self, choices: Sequence[NamedChoice]) -> None:
        self.schema = tuple(choices)
        self.labels = tuple(choice.name for choice in choices)
        self.positions = tuple(tuple(map(text_of, choice.values)) for choice in choices)
        self.genotype = partial(NamedChoices, names=self.labels)  # type: ignore[assignment]
        self._values = [
            dict(zip(texts, choice.values, strict=True))
            for texts, choice in zip(self.positions, choices, strict=True)
        ]

    def values(self, genotype: NamedChoices) -> dict[str, Value]:
        """Return the values of the choices that count, by name."""
        values: dict[str, Value] = {}
        for choice, text, typed in zip(self.schema, genotype.choices, self._values, strict=True):
            condition = choice.condition
            if condition is None or (
                condition.name in values and condition.holds(values[condition.name])
            ):
                values[choice.name] = typed[text]
        return values

    def expressed(self, genotype: NamedChoices) -> tuple[str | None, ...]:
        """Return the text of each choice's value; None where the choice does not count."""
        counting = self.values(genotype)
        pairs = zip(self.labels, genotype.choices, strict=True)
        return tuple(text if name in counting else None for name, text in pairs)

    def canonical(self, genotype: NamedChoices) -> str:
        """Return the text form without the choices that do not count."""
        pairs = zip(self.labels, self.expressed(genotype), strict=True)
        return ",".join(f"{name}={text}" for name, text in pairs if text is not None)

    def parse(self, text: str) -> NamedChoices:
        """Return the genotype written as ``name=value`` joined by commas, in any order.

        Choices that do not count may be left out: they have their first value.

        Raises:
            InputError: a name or a value does not exist, or one is given twice or missing.
        """
        given: dict[str, str] = {}
        for pair in unwrap(text).split(","):
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not equals:
                raise InputError(
                    f"{self.name}: expected name=value joined by commas, got {quote(pair)}; write "
                    f"it like {self._example()}"
                )
            if name not in self.labels:
                raise InputError(
                    f"{self.name}: unknown choice {quote(name)}{did_you_mean(name, self.labels)}; "
                    f"possible: {', '.join(self.labels)}"
                )
            if name in given:
                raise InputError(f"{self.name}: choice '{name}' is given twice in {quote(text)}")
            possible = self.positions[self.labels.index(name)]
            if value not in possible:
                raise InputError(
                    f"{self.name}, {name}: unknown {quote(value)}; possible: {', '.join(possible)}"
                )
            given[name] = value
        pairs = zip(self.labels, self.positions, strict=True)
        texts = tuple(given.get(name, possible[0]) for name, possible in pairs)
        genotype = NamedChoices(texts, self.labels)
        missing = [name for name in self.values(genotype) if name not in given]
        if missing:
            raise InputError(f"{self.name}: {', '.join(missing)} missing in {quote(text)}")
        return genotype

    def graphs(self, genotype: NamedChoices) -> tuple[CellGraph, ...]:
        """Return the choices that count as a chain."""
        return (CellGraph.chain(self.name, self.canonical(genotype).split(",")),)

    def _moves(self, genotype: NamedChoices) -> Iterator[tuple[int, str]]:
        counting = self.values(genotype)
        return (move for move in super()._moves(genotype) if self.labels[move[0]] in counting)

    def _example(self) -> str:
        first = NamedChoices(tuple(texts[0] for texts in self.positions), self.labels)
        return quote(str(first))
