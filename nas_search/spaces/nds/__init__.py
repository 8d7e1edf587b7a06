"""Network design spaces (NDS): cells of five searches, and residual networks."""

from nas_search.spaces.nds.cells import NdsCells, NdsCellsSpace
from nas_search.spaces.nds.families import CELL_FAMILIES, RESIDUAL_FAMILIES
from nas_search.spaces.nds.residual import NdsResidual, NdsResidualSpace
from nas_search.spaces.nds.sizes import NdsMacro

__all__ = [
    "CELL_FAMILIES",
    "RESIDUAL_FAMILIES",
    "NdsCells",
    "NdsCellsSpace",
    "NdsMacro",
    "NdsResidual",
    "NdsResidualSpace",
]
