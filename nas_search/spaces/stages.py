"""Search spaces whose networks are stages, one after another, with choices for each."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.base import CellGraph
from nas_search.spaces.choices import C, ChoiceSpace
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, alone
from nas_search.spaces.text_form import unwrap


class StageSpace(ChoiceSpace[C]):
    """All networks of stages; a subclass defines what they are made of, and their texts."""

    @abstractmethod
    def in_order(
        self,
        genotype: C,
        input_shape: tuple[int, int, int],
        num_classes: int,
        macro: Mapping[str, Any],
    ) -> list[Part]:
        """Return the parts of the network, each of which reads what the one before it gives.

        Raises:
            InputError: as :meth:`build`.
        """

    @abstractmethod
    def stage_texts(self, genotype: C) -> Sequence[str]:
        """Return each stage as a text for its drawing."""

    def parts(
        self, genotype: C, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> Mapping[Part, int]:
        """Return stem, blocks and head."""
        return Counter(self.in_order(genotype, input_shape, num_classes, macro))

    def segments(
        self, genotype: C, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> Sequence[Segment]:
        """Return the parts, one after another."""
        return [alone(part) for part in self.in_order(genotype, input_shape, num_classes, macro)]

    def graphs(self, genotype: C) -> tuple[CellGraph, ...]:
        """Return the stages as a chain."""
        return (CellGraph.chain("stages", self.stage_texts(genotype)),)


class GeneSpace(StageSpace[C]):
    """Stages of the same kinds of choices, the genes, whose texts are joined by bars.

    Attributes:
        genes: names of a stage's choices, in the order of a genotype's.
        stage_form: matches the text of a stage.
        example: of a text, for messages.
    """

    genes: tuple[str, ...]
    stage_form: re.Pattern[str]
    example: str

    def __init__(self, stages: Iterable[Sequence[Sequence[str]]]) -> None:
        """Keep the possible values of each gene of each stage.

        Raises:
            InputError: there is one network alone.
        """
        rows = list(stages)
        self.positions = tuple(tuple(values) for row in rows for values in row)
        numbers = range(1, len(rows) + 1)
        self.labels = tuple(f"{gene}{stage}" for stage in numbers for gene in self.genes)
        if self.size == 1:
            raise InputError("search_space: there is one network, nothing to choose")

    @abstractmethod
    def values_of(self, *groups: Any) -> Iterable[str]:
        """Return the values of the genes from the groups of :attr:`stage_form`: texts, or None."""

    def stage_texts(self, genotype: C) -> Sequence[str]:
        """Return the stages as they are written."""
        return str(genotype).split("|")

    def parse(self, text: str) -> C:
        """Return the network whose stages are joined by bars.

        Raises:
            InputError: a stage is not written in its form, or not among the choices.
        """
        stages = unwrap(text).split("|")
        count = len(self.positions) // len(self.genes)
        if len(stages) != count:
            raise InputError(
                f"{self.name}: expected {count} stages joined by '|', got {len(stages)} in "
                f"{quote(text)}; write them like {self.example}"
            )
        choices: list[str] = []
        for number, stage in enumerate(stages, 1):
            found = self.stage_form.fullmatch(stage.strip())
            if not found:
                raise InputError(
                    f"{self.name}, stage {number}: cannot read {quote(stage)}; write stages like "
                    f"{self.example}"
                )
            for gene, value in zip(self.genes, self.values_of(*found.groups()), strict=True):
                possible = self.positions[len(choices)]
                if value not in possible:
                    raise InputError(
                        f"{self.name}, stage {number}: {gene} {quote(value)} is not among its "
                        f"choices {', '.join(possible)}"
                    )
                choices.append(value)
        return self.genotype(tuple(choices))
