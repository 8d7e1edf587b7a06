"""Search spaces: genotypes, the moves between them, and their networks."""

from nas_search.spaces.base import (
    SPACES,
    CellEdge,
    CellGraph,
    Cost,
    SearchSpace,
    SpaceRecord,
    builds_stacked,
)
from nas_search.stacked.network import Pool, StackedNetwork

__all__ = [
    "SPACES",
    "CellEdge",
    "CellGraph",
    "Cost",
    "Pool",
    "StackedNetwork",
    "SearchSpace",
    "SpaceRecord",
    "builds_stacked",
]
