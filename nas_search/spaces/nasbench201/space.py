"""NAS-Bench-201: the 15,625 cells of four nodes and five operations.

Source: Dong and Yang, ICLR 2020, arXiv 2001.00326.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices
from nas_search.spaces.four_nodes import EDGES, FourNodeSpace
from nas_search.spaces.nasbench201.cost import network_parts, network_segments
from nas_search.spaces.nasbench201.network import (
    OPERATIONS,
    SMALLEST_IMAGE,
    Nasbench201Cell,
    Nasbench201Macro,
    Nasbench201Network,
)
from nas_search.spaces.nasbench201.stacked import StackedNetwork201
from nas_search.spaces.operation_graph import CellKind
from nas_search.spaces.operations import edge_operations
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment
from nas_search.spaces.text_form import unwrap
from nas_search.stacked.network import Pool, StackedNetwork

_NAMES = tuple(OPERATIONS)
_CELL = CellKind(
    name="cell",
    inputs=("input",),
    operations=tuple(name for name in OPERATIONS if name != "none"),
    nodes=5,
    families={
        "convolution": ("nor_conv_1x1", "nor_conv_3x3"),
        "parameter_free": ("skip_connect", "avg_pool_3x3"),
        "convolution_or_skip": ("nor_conv_1x1", "nor_conv_3x3", "skip_connect"),
    },
)
_EXAMPLE = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
_STRUCTURE = re.compile(r"\A(?:\w+\s*[:=]\s*)?Structure\(4 nodes with (.*)\)\Z", re.DOTALL)
"""As the authors' programs print a cell."""


@dataclass(frozen=True)
class Nasbench201Genotype(Choices):
    """A cell: one operation per edge, in the order of :data:`EDGES`.

    ``str`` gives the benchmark's text form.

    Raises:
        InputError: there are not six operations, or one is unknown.
    """

    @property
    def operations(self) -> tuple[str, ...]:
        """One per edge."""
        return self.choices

    def __post_init__(self) -> None:
        if len(self.operations) != len(EDGES):
            raise InputError(f"a nasbench201 cell has 6 operations, got {len(self.operations)}")
        for (source, target), operation in zip(EDGES, self.operations, strict=True):
            if operation not in OPERATIONS:
                raise InputError(
                    f"nasbench201 cell, edge {source}->{target}: unknown operation "
                    f"{quote(operation)}; possible: {', '.join(_NAMES)}"
                )

    def __str__(self) -> str:
        a, b, c, d, e, f = self.operations
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


class Nasbench201Space(FourNodeSpace[Nasbench201Genotype]):
    """The 15,625 cells of NAS-Bench-201 and the moves between them.

    They are 5,425 networks: so many canonical forms there are.
    """

    name = "nasbench201"

    positions = (_NAMES,) * len(EDGES)
    genotype = Nasbench201Genotype
    cells = (_CELL,)

    def parse(self, text: str) -> Nasbench201Genotype:
        """Return the cell written in the benchmark's form, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

        Quotes around it, ``arch_str = `` before it and the authors' ``Structure(4 nodes with ...)``
        are accepted too.

        Raises:
            InputError: the text is not a cell; the message names the node or the edge.
        """
        text = _STRUCTURE.sub(r"\1", unwrap(text))
        nodes = text.split("+")
        if len(nodes) != 3:
            raise InputError(
                f"a nasbench201 cell has 3 nodes joined by '+', got {len(nodes)} in "
                f"{quote(text)}; write it like {_EXAMPLE}"
            )
        operations: list[str] = []
        for target, node in enumerate((part.strip() for part in nodes), start=1):
            edges = node[1:-1].split("|")
            if not (len(node) > 1 and node[0] == node[-1] == "|" and len(edges) == target):
                raise InputError(
                    f"nasbench201 cell, node {target}: expected {target} edge(s) between bars, "
                    f"got {quote(node)}; write the cell like {_EXAMPLE}"
                )
            for source, edge in enumerate(edges):
                operation, tilde, index = edge.rpartition("~")
                if not tilde or index != str(source):
                    raise InputError(
                        f"nasbench201 cell, node {target}, edge {source + 1}: expected "
                        f"'operation~{source}', got {quote(edge)}"
                    )
                operations.append(operation)
        return Nasbench201Genotype(tuple(operations))

    def build(
        self,
        genotype: Nasbench201Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`Nasbench201Macro`."""
        sizes = _checked(input_shape, num_classes, macro)
        return Nasbench201Network(genotype.operations, sizes, input_shape[0], num_classes)

    def build_stacked(
        self,
        genotypes: Sequence[Nasbench201Genotype],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,
        **macro: Any,
    ) -> StackedNetwork:
        """Return one network for any candidates: all have the same skeleton."""
        sizes = _checked(input_shape, num_classes, macro)
        candidates = [genotype.operations for genotype in genotypes]
        return StackedNetwork201(
            candidates, sizes, input_shape[0], num_classes, pool, include_dead_branches
        )

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the operations on the edges of all cells, without identities."""
        return edge_operations(network, Nasbench201Cell)

    def parts(
        self,
        genotype: Nasbench201Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts: those of the skeleton, and the operations of all edges."""
        sizes = _checked(input_shape, num_classes, macro)
        return network_parts(genotype.operations, input_shape, num_classes, sizes)

    def segments(
        self,
        genotype: Nasbench201Genotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Sequence[Segment]:
        """Return how the parts are wired."""
        sizes = _checked(input_shape, num_classes, macro)
        return network_segments(genotype.operations, input_shape, num_classes, sizes)


def _checked(
    input_shape: tuple[int, int, int], num_classes: int, macro: Mapping[str, Any]
) -> Nasbench201Macro:
    sizes = read_macro(Nasbench201Macro, macro)
    check_problem(input_shape, num_classes, SMALLEST_IMAGE, "the skeleton halves them twice and")
    return sizes


SPACES.add(
    SpaceRecord(
        name="nasbench201",
        space=Nasbench201Space,
        macro=Nasbench201Macro,
        source="Dong and Yang, ICLR 2020, arXiv 2001.00326",
        narrow={"cells": 1, "channels": 1},
    )
)
