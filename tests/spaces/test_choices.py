"""A row of choices, and a space that defines no more than the contract asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from torch import nn

from nas_search.core.errors import InputError
from nas_search.spaces import (
    CellEdge,
    CellGraph,
    Choices,
    ChoiceSpace,
    SearchSpace,
    check_problem,
    read_macro,
)
from nas_search.spaces.base import NoOptions
from nas_search.testing.spaces import SearchSpaceConformance


def network(widths: list[int], shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Return 1 x 1 convolutions of these widths and a classifier."""
    check_problem(shape, classes, 2, "this test")
    layers: list[nn.Module] = []
    sides = [shape[0], *widths]
    for inputs, outputs in zip(sides, widths, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sides[-1], classes)
    )


class Widths(ChoiceSpace[Choices]):
    """Rows of unequal numbers of names, one of them without a choice."""

    name = "widths"
    positions = (("1", "2"), ("3",), ("2", "3", "4"))

    def build(
        self, genotype: Choices, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        read_macro(NoOptions, macro)
        return network([int(width) for width in genotype.choices], input_shape, num_classes)


class TestWidths(SearchSpaceConformance):
    space = Widths()
    fixed_shapes = False

    def test_every_row_is_drawn_equally_often(self) -> None:
        rng = np.random.default_rng(0)
        counts = Counter(self.space.sample(rng).choices for _ in range(6000))
        assert set(counts) == set(product(*self.space.positions))
        assert self.space.size == len(counts) == 6
        assert all(abs(count - 1000) < 4 * (1000 * 5 / 6) ** 0.5 for count in counts.values())

    def test_every_neighbor_is_drawn_equally_often(self) -> None:
        rng = np.random.default_rng(0)
        row = self.space.parse("1|3|2")
        counts = Counter(str(self.space.mutate(row, rng)) for _ in range(3000))
        assert set(counts) == {"2|3|2", "1|3|3", "1|3|4"}
        assert all(abs(count - 1000) < 4 * (1000 * 2 / 3) ** 0.5 for count in counts.values())

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("1|3", r"widths: expected 3 names joined by '\|', got 2 in '1\|3'"),
            ("1|3|5", "widths, position 3: unknown '5'; possible: 2, 3, 4"),
            ("1|2|2", "widths, position 2: unknown '2'; possible: 3"),
        ],
    )
    def test_what_is_no_row_is_refused(self, text: str, said: str) -> None:
        with pytest.raises(InputError, match=said):
            self.space.parse(text)

    def test_rows_are_drawn_as_chains(self) -> None:
        (graph,) = self.space.graphs(self.space.parse("2|3|4"))
        edges = (CellEdge("0", "1", "2"), CellEdge("1", "2", "3"), CellEdge("2", "3", "4"))
        assert graph == CellGraph("widths", ("0",), "3", ("0", "1", "2", "3"), edges)


Row = tuple[int, ...]


class Growing(SearchSpace[Row]):
    """Widths that never shrink: no product of choices, and nothing defined that has a default."""

    name = "growing"
    rows = tuple(row for row in product((1, 2, 3, 4), repeat=3) if list(row) == sorted(row))

    @property
    def size(self) -> int:
        return len(self.rows)

    def sample(self, rng: np.random.Generator) -> Row:
        return self.rows[rng.integers(self.size)]

    def neighbors(self, genotype: Row) -> Iterator[Row]:
        for row in self.rows:
            if sum(a != b for a, b in zip(row, genotype, strict=True)) == 1:
                yield row

    def crossover(self, first: Row, second: Row, rng: np.random.Generator) -> Row:
        pairs = tuple(zip(first, second, strict=True))
        children = [row for row in product(*pairs) if row in self.rows]
        return children[rng.integers(len(children))]

    def parse(self, text: str) -> Row:
        for row in self.rows:
            if str(row) == text.strip():
                return row
        raise InputError(f"growing: no row of widths is {text[:20]!r}; write it like (1, 2, 4)")

    def build(
        self, genotype: Row, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        read_macro(NoOptions, macro)
        return network(list(genotype), input_shape, num_classes)

    def graphs(self, genotype: Row) -> tuple[CellGraph, ...]:
        edges = tuple(CellEdge(str(i), str(i + 1), str(w)) for i, w in enumerate(genotype))
        return (CellGraph("growing", ("0",), "3", ("0", "1", "2", "3"), edges),)


class TestGrowing(SearchSpaceConformance):
    space = Growing()
    fixed_shapes = False

    def test_every_row_is_a_network_of_its_own(self) -> None:
        assert len({self.space.canonical(row) for row in Growing.rows}) == self.space.size

    def test_every_neighbor_is_drawn_equally_often(self) -> None:
        rng = np.random.default_rng(0)
        counts = Counter(self.space.mutate((1, 2, 4), rng) for _ in range(5000))
        assert set(counts) == {(2, 2, 4), (1, 1, 4), (1, 3, 4), (1, 4, 4), (1, 2, 2), (1, 2, 3)}
        expected = 5000 / 6
        assert all(abs(n - expected) < 4 * (expected * 5 / 6) ** 0.5 for n in counts.values())
