"""``params``: trainable parameters of the network as it is built."""

from __future__ import annotations

from typing import Any

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.spaces import SearchSpace


def params(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the number of trainable parameters; dead branches count, they are stored too."""
    return space.cost(genotype, at.input_shape, at.num_classes, **at.macro).params


COSTS.add(CostRecord("params", "parameters", params, "trainable parameters, as built"))
