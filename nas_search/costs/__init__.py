"""What a network costs where it will run: size, arithmetic, memory, time, at a size of choice."""

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord, bound_keys

__all__ = ["COSTS", "At", "CostRecord", "bound_keys"]
