"""The DARTS space: a normal and a reduction cell of four nodes with two inputs each."""

from nas_search.spaces.darts.space import DartsSpace

__all__ = ["DartsSpace"]
