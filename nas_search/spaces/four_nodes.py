"""Cells of four nodes with an operation on each of their six edges.

That is the form of NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv 2001.00326), which
TransNAS-Bench-101 has taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from nas_search.spaces.base import CellEdge, CellGraph
from nas_search.spaces.cell_graph import Expression, Sum, add
from nas_search.spaces.choices import C, ChoiceSpace
from nas_search.spaces.operation_graph import OperationGraph, expression_graph

EDGES: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The six edges (source, target), in the order of the text forms; node 0 is the input, 3 the
output."""

SKIP = "skip_connect"


class FourNodeSpace(ChoiceSpace[C]):
    """All cells of one operation per edge; a subclass defines ``positions`` and :meth:`build`.

    ``cells`` is the one kind of cell. An edge is ``none``, or :data:`SKIP`, which is an identity.

    Attributes:
        changes_input: whether there are cells in which operations on the input change its sizes: a
            skip from the input is an operation there, as all others are.
    """

    changes_input = False

    def canonical(self, genotype: C) -> str:
        """Return the certificate of the cell, or ``"dead"`` if the image cannot reach the output.

        See :mod:`nas_search.spaces.cell_graph`. Where ``changes_input``, two cells are the same
        network if they are in the cells of both kinds, which those that change sizes tell.
        """
        return _canonical(genotype.choices, self.changes_input)

    def places(self) -> Sequence[str]:
        """Return the edges by name."""
        return [f"edge {source}-{target}" for source, target in EDGES]

    def graphs(self, genotype: C) -> tuple[CellGraph, ...]:
        """Return the cell to draw: nodes ``"0"`` (input) to ``"3"`` (output)."""
        edges = tuple(
            CellEdge(str(source), str(target), operation)
            for (source, target), operation in zip(EDGES, genotype.choices, strict=True)
            if operation != "none"
        )
        return (CellGraph("cell", ("0",), "3", ("0", "1", "2", "3"), edges),)

    def operation_graphs(self, genotype: C) -> tuple[OperationGraph, ...]:
        """Return the cell; a skip connection is an operation."""
        expression, output = _expression(genotype.choices, self.changes_input)
        return (expression_graph(expression, [output], self.cells[0], SKIP),)


@lru_cache(maxsize=16384)
def _canonical(operations: tuple[str, ...], changes_input: bool) -> str:
    expression, output = _expression(operations, changes_input)
    return expression.certificate([output]) if output else "dead"


def _expression(operations: tuple[str, ...], changes_input: bool) -> tuple[Expression, Sum]:
    """Return the cell, and the sum in its output."""
    expression = Expression()
    nodes: list[Sum] = [Expression.cell_input(0), (), (), ()]
    for (source, target), operation in zip(EDGES, operations, strict=True):
        value = nodes[source]
        if operation == "none":
            continue
        if operation != SKIP or (changes_input and source == 0):
            value = expression.apply(operation, value)
        nodes[target] = add(nodes[target], value)
    return expression, nodes[3]
