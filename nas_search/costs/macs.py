"""``macs``: multiply-accumulates for one image."""

from __future__ import annotations

from typing import Any

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.spaces import SearchSpace


def macs(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the multiply-accumulates of convolutions and linear layers for one image."""
    return space.cost(genotype, at.input_shape, at.num_classes, **at.macro).macs


COSTS.add(
    CostRecord(
        "macs", "MACs", macs, "multiply-accumulates of convolutions and linear layers, one image"
    )
)
