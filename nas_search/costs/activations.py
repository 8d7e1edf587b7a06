"""``activations``: elements of the outputs of convolutions and linear layers for one image.

Source: Radosavovic et al., CVPR 2020, arXiv 2003.13678, section 3.1: on accelerators limited by
memory traffic, run time follows them better than MACs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.costs.trace import MULTIPLYING, trace_part
from nas_search.spaces import Part, SearchSpace


def activations(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the number of elements: a sum over the parts of the network."""
    parts = space.parts(genotype, at.input_shape, at.num_classes, **at.macro)
    return sum(times * _of_part(part) for part, times in parts.items())


@lru_cache(maxsize=16384)
def _of_part(part: Part) -> int:
    traced = trace_part(part)
    return sum(
        traced.sizes[number]
        for step in traced.steps
        if step.name in MULTIPLYING
        for number in step.writes
    )


COSTS.add(
    CostRecord(
        "activations",
        "elements",
        activations,
        "elements of the outputs of convolutions and linear layers, one image",
        "Radosavovic et al., CVPR 2020, arXiv 2003.13678",
    )
)
