"""TransNAS-Bench-101: cells in one skeleton (micro), and skeletons of one block (macro)."""

from nas_search.spaces.transnas.macro import TransnasMacroGenotype, TransnasMacroSpace
from nas_search.spaces.transnas.micro import TransnasMicroGenotype, TransnasMicroSpace

__all__ = [
    "TransnasMacroGenotype",
    "TransnasMacroSpace",
    "TransnasMicroGenotype",
    "TransnasMicroSpace",
]
