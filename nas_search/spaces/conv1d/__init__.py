"""Convolutional networks of series and signals."""

from nas_search.spaces.conv1d.network import Conv1dMacro
from nas_search.spaces.conv1d.space import Conv1dGenotype, Conv1dOptions, Conv1dSpace

__all__ = ["Conv1dGenotype", "Conv1dMacro", "Conv1dOptions", "Conv1dSpace"]
