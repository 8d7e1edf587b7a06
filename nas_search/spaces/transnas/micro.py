"""TransNAS-Bench-101 micro: the 4,096 cells of four nodes and four operations.

Source: Duan et al., CVPR 2021, arXiv 2105.11871.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices
from nas_search.spaces.four_nodes import EDGES, FourNodeSpace
from nas_search.spaces.operation_graph import CellKind
from nas_search.spaces.operations import edge_operations
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment
from nas_search.spaces.text_form import unwrap
from nas_search.spaces.transnas.cell import OPERATIONS, TransnasCell, TransnasMicroNetwork
from nas_search.spaces.transnas.cost import micro_parts, micro_segments
from nas_search.spaces.transnas.skeleton import BASE, TransnasMacro, blocks_of, checked_sizes
from nas_search.spaces.transnas.stacked import StackedTransnas
from nas_search.stacked.network import Pool, StackedNetwork

MODULES = "41414"
"""The modules of the skeleton: 1, or 4 which doubles the channels and halves the image."""

_PREFIX = f"{BASE}-{MODULES}-"
_EXAMPLE = f"{_PREFIX}1_02_333"
_CELL_TEXT = re.compile(r"([0-3])_([0-3]{2})_([0-3]{3})", re.ASCII)
_CELL = CellKind(
    name="cell",
    inputs=("input",),
    operations=OPERATIONS[1:],
    nodes=5,
    families={
        "convolution": ("nor_conv_1x1", "nor_conv_3x3"),
        "parameter_free": ("skip_connect",),
        "convolution_or_skip": OPERATIONS[1:],
    },
)


@dataclass(frozen=True)
class TransnasMicroGenotype(Choices):
    """A cell: one operation per edge, in the order of NAS-Bench-201.

    ``str`` gives the benchmark's text form, ``64-41414-1_02_333``: digits are operations, by the
    node that they lead to.
    """

    def __str__(self) -> str:
        a, b, c, d, e, f = (str(OPERATIONS.index(name)) for name in self.choices)
        return f"{_PREFIX}{a}_{b}{c}_{d}{e}{f}"


class TransnasMicroSpace(FourNodeSpace[TransnasMicroGenotype]):
    """The 4,096 cells of TransNAS-Bench-101 and the moves between them.

    They are 1,376 networks: so many canonical forms there are. A skip connection from the input is
    an operation where the image is halved, and an identity in the other cells.
    """

    name = "transnas_micro"

    positions = (OPERATIONS,) * len(EDGES)
    genotype = TransnasMicroGenotype
    cells = (_CELL,)
    changes_input = True

    def parse(self, text: str) -> TransnasMicroGenotype:
        """Return the cell written in the benchmark's form, ``64-41414-1_02_333``.

        Raises:
            InputError: the text is not a cell; the message says which part of it.
        """
        text = unwrap(text)
        if not text.startswith(_PREFIX):
            raise InputError(
                f"a transnas_micro cell begins with {_PREFIX}, got {quote(text)}; write it like "
                f"{_EXAMPLE}"
            )
        match = _CELL_TEXT.fullmatch(text.removeprefix(_PREFIX))
        if match is None:
            raise InputError(
                "a transnas_micro cell ends with the operations of three nodes, 0 to 3 each "
                f"({', '.join(OPERATIONS)}), got {quote(text)}; write it like {_EXAMPLE}"
            )
        return TransnasMicroGenotype(
            tuple(OPERATIONS[int(digit)] for digit in "".join(match.groups()))
        )

    def build(
        self,
        genotype: TransnasMicroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`TransnasMacro`."""
        sizes = checked_sizes(input_shape, num_classes, macro)
        blocks = blocks_of(MODULES, input_shape, sizes)
        return TransnasMicroNetwork(genotype.choices, blocks, sizes, input_shape, num_classes)

    def build_stacked(
        self,
        genotypes: Sequence[TransnasMicroGenotype],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,
        **macro: Any,
    ) -> StackedNetwork:
        """Return one network for any candidates: all have the same skeleton."""
        sizes = checked_sizes(input_shape, num_classes, macro)
        candidates = [genotype.choices for genotype in genotypes]
        blocks = blocks_of(MODULES, input_shape, sizes)
        return StackedTransnas(
            candidates, blocks, sizes, input_shape, num_classes, pool, include_dead_branches
        )

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations on the edges of all cells, without identities."""
        return edge_operations(network, TransnasCell)

    def parts(
        self,
        genotype: TransnasMicroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts: stem, classifier, and the operations of all edges."""
        sizes = checked_sizes(input_shape, num_classes, macro)
        return micro_parts(genotype.choices, MODULES, input_shape, num_classes, sizes)

    def segments(
        self,
        genotype: TransnasMicroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Sequence[Segment]:
        """Return how the parts are wired."""
        sizes = checked_sizes(input_shape, num_classes, macro)
        return micro_segments(genotype.choices, MODULES, input_shape, num_classes, sizes)


SPACES.add(
    SpaceRecord(
        name="transnas_micro",
        space=TransnasMicroSpace,
        macro=TransnasMacro,
        source="Duan et al., CVPR 2021, arXiv 2105.11871",
        narrow={"channels": 1, "stem_halvings": 0, "last_relu": True},
    )
)
