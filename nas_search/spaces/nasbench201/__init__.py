"""NAS-Bench-201: a cell of four nodes and six edges with five operations."""

from nas_search.spaces.nasbench201.space import Nasbench201Genotype, Nasbench201Space

__all__ = ["Nasbench201Genotype", "Nasbench201Space"]
