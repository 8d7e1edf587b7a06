"""NAS-Bench-101: cells are graphs of up to seven vertices and nine edges."""

from nas_search.spaces.nasbench101.space import Nasbench101Space

__all__ = ["Nasbench101Space"]
