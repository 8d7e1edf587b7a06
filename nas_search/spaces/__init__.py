"""Search spaces: genotypes, the moves between them, and the networks that they stand for."""

from nas_search.spaces.base import SPACES, CellEdge, CellGraph, Cost, SearchSpace, SpaceRecord

__all__ = ["SPACES", "CellEdge", "CellGraph", "Cost", "SearchSpace", "SpaceRecord"]
