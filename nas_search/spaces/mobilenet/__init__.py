"""Mobile networks: stages of inverted residual blocks."""

from nas_search.spaces.mobilenet.network import MobilenetMacro
from nas_search.spaces.mobilenet.space import MobilenetGenotype, MobilenetOptions, MobilenetSpace

__all__ = ["MobilenetGenotype", "MobilenetMacro", "MobilenetOptions", "MobilenetSpace"]
