"""The registry of costs: a file of this room each, found without being listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from nas_search.core.registry import Registry
from nas_search.costs.at import At
from nas_search.spaces import SearchSpace


@dataclass(frozen=True)
class CostRecord:
    """A registered cost; lower is better.

    Attributes:
        name: the name in the configuration and in files.
        unit: of its values, for messages and columns.
        cost: returns the value of (space, genotype, at), 0 or more.
        definition: what is counted, in one line.
        source: who defined it so.
        suffix: what its bounds' keys add to the name, as ``_ms`` in ``max_latency_ms``.
    """

    name: str
    unit: str
    cost: Callable[[SearchSpace[Any], Any, At], float]
    definition: str
    source: str = ""
    suffix: str = ""

    def text(self, value: float) -> str:
        """Return a value with its unit; infinite is unknown, such as a latency not in a table."""
        if not isfinite(value):
            return f"an unknown number of {self.unit}"
        whole = value == int(value) or value >= 1000
        number = f"{value:,.0f}" if whole else f"{value:.4g}"
        return f"{number} {self.unit}"


COSTS: Registry[CostRecord] = Registry("cost", "nas_search.costs")


def bound_keys() -> dict[str, tuple[str, bool]]:
    """Return by key of a bound (``max_params``) its cost and whether it is an upper bound."""
    keys: dict[str, tuple[str, bool]] = {}
    for record in COSTS:
        keys[f"max_{record.name}{record.suffix}"] = (record.name, True)
        keys[f"min_{record.name}{record.suffix}"] = (record.name, False)
    return keys
