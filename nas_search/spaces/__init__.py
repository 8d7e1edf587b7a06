"""Search spaces: genotypes, the moves between them, and the networks that they stand for."""

from nas_search.spaces.base import (
    SPACES,
    CellEdge,
    CellGraph,
    Cost,
    SearchSpace,
    SpaceRecord,
    builds_populations,
)
from nas_search.spaces.population import Pool, PopulationNetwork

__all__ = [
    "SPACES",
    "CellEdge",
    "CellGraph",
    "Cost",
    "Pool",
    "PopulationNetwork",
    "SearchSpace",
    "SpaceRecord",
    "builds_populations",
]
