"""Cells as graphs of operations: what features are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nas_search.spaces.cell_graph import Expression, Sum

WIRE = ""
"""Name of what is no operation: a value handed on as it is, e.g. into the output."""


@dataclass(frozen=True)
class Operation:
    """An operation of a cell: it reads the nodes ``sources`` and is added to the node ``target``.

    Nodes are numbered in topological order: the inputs first, the output last.

    Attributes:
        name: one of the cell's operations, or :data:`WIRE`.
        sources: numbers of the nodes that it reads, each smaller than ``target``.
        target: number of the node that receives its value.
    """

    name: str
    sources: tuple[int, ...]
    target: int


OperationGraph = tuple[Operation, ...]
"""A cell: its operations, without those that no path leads through."""


@dataclass(frozen=True)
class CellKind:
    """What the graphs of one cell of a space have in common.

    Attributes:
        name: the cell's name, e.g. ``"normal"``.
        inputs: names of the inputs, which are the nodes 0, 1, ...
        operations: names of all operations that the cell may have.
        nodes: largest number of nodes, inputs and output included; the output is ``nodes - 1``.
        families: operations that belong together, by a name of the group.
    """

    name: str
    inputs: tuple[str, ...]
    operations: tuple[str, ...]
    nodes: int
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def expression_graph(
    expression: Expression, outputs: Sequence[Sum], kind: CellKind, identity: str
) -> OperationGraph:
    """Return the graph of an expression, equal up to numbering for isomorphic ones.

    Nodes are the different sums that operations or the output read. An identity is in the
    expression no operation: it is found again where one node's sum is part of another's, the
    largest parts first. So a copy of a node is that node, whichever way the text wrote it.

    Args:
        expression: the cell.
        outputs: the sums that its output joins.
        kind: the cell's kind.
        identity: name of the operation that hands its input on.
    """
    live = expression.live(outputs)
    sums = {tuple(sorted(value)) for value in outputs if value}
    sums |= {tuple(sorted(expression.inputs_of(i))) for i in live}
    cell_inputs = [Expression.cell_input(i) for i in range(len(kind.inputs))]
    # Parts come before wholes, and what an operation reads before what it is added to.
    inner = sorted(sums.difference(cell_inputs), key=lambda value: (max(value), len(value), value))
    numbers: dict[Sum, int] = {value: n for n, value in enumerate([*cell_inputs, *inner])}
    operations: list[Operation] = []
    for value in inner:
        rest = list(value)
        for source, copies in _parts(value, numbers):
            operations += [Operation(identity, (numbers[source],), numbers[value])] * copies
            for term in source * copies:
                if term in rest:
                    rest.remove(term)
        for term in rest:
            label = expression.label_of(term)
            source_sum = tuple(sorted(expression.inputs_of(term)))
            operations.append(Operation(label, (numbers[source_sum],), numbers[value]))
    output = kind.nodes - 1
    for value in outputs:
        if value:
            operations.append(Operation(WIRE, (numbers[tuple(sorted(value))],), output))
    return tuple(operations)


def _parts(value: Sum, numbers: Mapping[Sum, int]) -> list[tuple[Sum, int]]:
    """Return the nodes whose sums are parts of ``value``, largest first, each with its copies.

    Parts of equal size are looked for in the same remainder: their order must not matter.
    """
    remainder = {term: value.count(term) for term in value}
    parts: list[tuple[Sum, int]] = []
    for size in range(len(value) - 1, 0, -1):
        found = []
        for source in numbers:
            if len(source) == size:
                copies = min(remainder.get(t, 0) // source.count(t) for t in source)
                if copies:
                    found.append((source, copies))
        for source, copies in found:
            for term in source:
                remainder[term] = max(0, remainder[term] - copies)
        parts += found
    return parts
