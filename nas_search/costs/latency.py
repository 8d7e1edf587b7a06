"""``latency``: milliseconds of one run on a device, predicted from measured networks or tabulated.

The run measures a few dozen networks on the device before the search and fits a predictor
(:mod:`nas_search.costs.predictor`); finalists are measured for real.
"""

from __future__ import annotations

from typing import Any

from nas_search.core.errors import InputError
from nas_search.costs.at import At
from nas_search.costs.base import COSTS, CostRecord
from nas_search.spaces import SearchSpace


def latency(space: SearchSpace[Any], genotype: Any, at: At) -> float:
    """Return the milliseconds of one run of a batch.

    Raises:
        InputError: nothing was measured at these sizes.
    """
    if at.latency is None:
        raise InputError("the latency of no network was measured at these sizes")
    return float(at.latency.milliseconds(space, genotype, at))


COSTS.add(
    CostRecord(
        "latency",
        "ms",
        latency,
        "milliseconds of one run on the device of the group latency",
        suffix="_ms",
    )
)
