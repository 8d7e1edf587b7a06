"""TransNAS-Bench-101 micro: the 4,096 cells of four nodes and four operations.

Source: Duan et al., CVPR 2021, arXiv 2105.11871.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import read_macro
from nas_search.spaces.base import SPACES, CellEdge, CellGraph, SpaceRecord
from nas_search.spaces.cell_graph import Expression, Sum, add
from nas_search.spaces.choices import Choices, ChoiceSpace
from nas_search.spaces.nasbench201.network import EDGES
from nas_search.spaces.operation_graph import CellKind, OperationGraph, expression_graph
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment
from nas_search.spaces.text_form import unwrap
from nas_search.spaces.transnas.cell import OPERATIONS, TransnasCell, TransnasMicroNetwork
from nas_search.spaces.transnas.cost import micro_parts, micro_segments
from nas_search.spaces.transnas.skeleton import BASE, TransnasMacro, blocks_of, check
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


class TransnasMicroSpace(ChoiceSpace[TransnasMicroGenotype]):
    """The 4,096 cells of TransNAS-Bench-101 and the moves between them."""

    name = "transnas_micro"

    positions = (OPERATIONS,) * len(EDGES)
    genotype = TransnasMicroGenotype
    cells = (_CELL,)

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

    def canonical(self, genotype: TransnasMicroGenotype) -> str:
        """Return the certificate of the cell, or ``"dead"`` if the image cannot reach the output.

        A skip connection from the input is an operation where the image is halved, and an identity
        in the other cells; two cells are the same network if they are in both. There are 1,376
        canonical forms; see :mod:`nas_search.spaces.cell_graph`.
        """
        return _canonical(genotype.choices)

    def build(
        self,
        genotype: TransnasMicroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`TransnasMacro`."""
        sizes = read_macro(TransnasMacro, macro)
        check(input_shape, num_classes)
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
        sizes = read_macro(TransnasMacro, macro)
        check(input_shape, num_classes)
        candidates = [genotype.choices for genotype in genotypes]
        blocks = blocks_of(MODULES, input_shape, sizes)
        return StackedTransnas(
            candidates, blocks, sizes, input_shape, num_classes, pool, include_dead_branches
        )

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations on the edges of all cells, without identities."""
        return [
            operation
            for cell in network.modules()
            if isinstance(cell, TransnasCell)
            for operation in cell.children()
            if not isinstance(operation, nn.Identity)
        ]

    def parts(
        self,
        genotype: TransnasMicroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts: stem, classifier, and the operations of all edges."""
        sizes = read_macro(TransnasMacro, macro)
        check(input_shape, num_classes)
        return micro_parts(genotype.choices, MODULES, input_shape, num_classes, sizes)

    def segments(
        self,
        genotype: TransnasMicroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Sequence[Segment]:
        """Return how the parts are wired."""
        sizes = read_macro(TransnasMacro, macro)
        check(input_shape, num_classes)
        return micro_segments(genotype.choices, MODULES, input_shape, num_classes, sizes)

    def places(self) -> Sequence[str]:
        """Return the edges by name."""
        return [f"edge {source}-{target}" for source, target in EDGES]

    def graphs(self, genotype: TransnasMicroGenotype) -> tuple[CellGraph, ...]:
        """Return the cell to draw: nodes ``"0"`` (input) to ``"3"`` (output)."""
        edges = tuple(
            CellEdge(str(source), str(target), operation)
            for (source, target), operation in zip(EDGES, genotype.choices, strict=True)
            if operation != "none"
        )
        return (CellGraph("cell", ("0",), "3", ("0", "1", "2", "3"), edges),)

    def operation_graphs(self, genotype: TransnasMicroGenotype) -> tuple[OperationGraph, ...]:
        """Return the cell; a skip connection is the operation ``skip_connect``."""
        expression, output = _expression(genotype.choices)
        return (expression_graph(expression, [output], _CELL, "skip_connect"),)


@lru_cache(maxsize=16384)
def _canonical(operations: tuple[str, ...]) -> str:
    expression, output = _expression(operations)
    return expression.certificate([output]) if output else "dead"


def _expression(operations: tuple[str, ...]) -> tuple[Expression, Sum]:
    """Return the cell where it halves the image, and the sum in its output."""
    expression = Expression()
    nodes: list[Sum] = [Expression.cell_input(0), (), (), ()]
    for (source, target), operation in zip(EDGES, operations, strict=True):
        value = nodes[source]
        if operation == "none":
            continue
        if operation != "skip_connect" or source == 0:
            value = expression.apply(operation, value)
        nodes[target] = add(nodes[target], value)
    return expression, nodes[3]


SPACES.add(
    SpaceRecord(
        name="transnas_micro",
        space=TransnasMicroSpace,
        macro=TransnasMacro,
        source="Duan et al., CVPR 2021, arXiv 2105.11871",
        narrow={"channels": 1, "stem_halvings": 0, "last_relu": True},
    )
)
