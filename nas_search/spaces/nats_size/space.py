"""NATS-Bench size: 32,768 rows of five widths, 8 to 64 in steps of 8.

Source: Dong et al., TPAMI 2021, arXiv 2009.00437.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices, ChoiceSpace
from nas_search.spaces.nasbench201.network import SMALLEST_IMAGE
from nas_search.spaces.nats_size.network import (
    REDUCTIONS,
    NatsSizeCell,
    NatsSizeNetwork,
    network_parts,
)
from nas_search.spaces.operations import edge_operations
from nas_search.spaces.parts import Part
from nas_search.spaces.text_form import unwrap

WIDTHS = tuple(str(width) for width in range(8, 65, 8))


@dataclass(frozen=True)
class NatsSizeMacro:
    """Sizes of the skeleton: none, since all of them are searched."""


@dataclass(frozen=True)
class NatsSizeGenotype(Choices):
    """Five widths; ``str`` gives the benchmark's text form, ``8:64:32:16:48``."""

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths as numbers."""
        return tuple(map(int, self.choices))

    def __str__(self) -> str:
        return ":".join(self.choices)


class NatsSizeSpace(ChoiceSpace[NatsSizeGenotype]):
    """The 32,768 sizes of NATS-Bench; every one is a network of its own."""

    name = "nats_size"

    positions = (WIDTHS,) * len(REDUCTIONS)
    genotype = NatsSizeGenotype

    def parse(self, text: str) -> NatsSizeGenotype:
        """Return the widths written in the benchmark's form, ``8:64:32:16:48``.

        Raises:
            InputError: there are not five, or one is impossible.
        """
        row = tuple(name.strip() for name in unwrap(text).split(":"))
        if len(row) != len(self.positions):
            raise InputError(
                f"nats_size has five widths joined by ':', got {len(row)} in {quote(text)}; write "
                "them like 8:64:32:16:48"
            )
        for number, name in enumerate(row, 1):
            if name not in WIDTHS:
                raise InputError(
                    f"nats_size, width {number}: {quote(name)} is impossible; possible: "
                    f"{', '.join(WIDTHS)}"
                )
        return NatsSizeGenotype(row)

    def build(
        self,
        genotype: NatsSizeGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network."""
        _check(input_shape, num_classes, macro)
        return NatsSizeNetwork(genotype.widths, input_shape, num_classes)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations on the edges of all cells, without identities."""
        return edge_operations(network, NatsSizeCell)

    def parts(
        self,
        genotype: NatsSizeGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts: stem, cells, residual blocks and classifier."""
        _check(input_shape, num_classes, macro)
        return network_parts(genotype.widths, input_shape, num_classes)


def _check(input_shape: tuple[int, int, int], num_classes: int, macro: Mapping[str, Any]) -> None:
    read_macro(NatsSizeMacro, macro)
    check_problem(input_shape, num_classes, SMALLEST_IMAGE, "the skeleton halves them twice and")


SPACES.add(
    SpaceRecord(
        name="nats_size",
        space=NatsSizeSpace,
        macro=NatsSizeMacro,
        source="Dong et al., TPAMI 2021, arXiv 2009.00437",
    )
)
