"""Search spaces: genotypes, the moves between them, and their networks."""

from nas_search.spaces.arguments import check_int, check_problem, read_macro
from nas_search.spaces.base import (
    SPACES,
    CellEdge,
    CellGraph,
    SearchSpace,
    SpaceRecord,
    builds_stacked,
)
from nas_search.spaces.choices import Choices, ChoiceSpace
from nas_search.spaces.costs import Cost
from nas_search.spaces.operation_graph import WIRE, CellKind, Operation, OperationGraph
from nas_search.spaces.parts import Part
from nas_search.stacked.network import Pool, StackedNetwork

__all__ = [
    "SPACES",
    "CellEdge",
    "CellGraph",
    "CellKind",
    "ChoiceSpace",
    "Choices",
    "Cost",
    "Operation",
    "OperationGraph",
    "Part",
    "Pool",
    "StackedNetwork",
    "SearchSpace",
    "SpaceRecord",
    "WIRE",
    "builds_stacked",
    "check_int",
    "check_problem",
    "read_macro",
]
