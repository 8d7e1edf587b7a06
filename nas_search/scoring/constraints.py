"""Bounds on the costs of candidates, checked before they are scored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.costs import COSTS, At, bound_keys


@dataclass(frozen=True)
class Constraints:
    """Bounds that are checked before a candidate is scored; both ends are allowed.

    Attributes:
        bounds: by key, ``max_params`` or ``min_macs``, see :func:`nas_search.costs.bound_keys`.
        also: names of costs that evaluations keep though nothing bounds them.
        at: the network whose costs are meant; None for the one that is scored.

    Raises:
        InputError: there is no such cost, or a bound is no number, or excludes another.
    """

    bounds: Mapping[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    at: At | None = None

    def __post_init__(self) -> None:
        keys = bound_keys()
        for key, bound in self.bounds.items():
            if key not in keys:
                guess = did_you_mean(key, keys)
                possible = ", ".join(sorted(keys))
                raise InputError(f"unknown constraints.{key}{guess}; possible: {possible}")
            if not 0 <= bound < math.inf:
                raise InputError(f"constraints.{key}={bound} must be a number of 0 or more")
            opposite = self.bounds.get(key.replace("max_", "min_", 1))
            if key.startswith("max_") and opposite is not None and opposite > bound:
                low = key.replace("max_", "min_", 1)
                raise InputError(
                    f"constraints.{low}={number(opposite)} is more than "
                    f"constraints.{key}={number(bound)}: nothing lies between them"
                )
        for name in self.also:
            COSTS.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The costs that are counted: those with a bound, then the others that were asked for."""
        bounded = (bound_keys()[key][0] for key in self.bounds)
        return tuple(dict.fromkeys((*bounded, *self.also)))

    def violation(self, costs: Mapping[str, float]) -> str:
        """Return which bound ``costs`` break, as one line; empty when they break none."""
        for key, (name, bound, upper) in self._named().items():
            value = costs[name]
            if value > bound if upper else value < bound:
                side = "more" if upper else "less"
                text = COSTS.get(name).text(value)
                return f"{text}, {side} than constraints.{key}={number(bound)}"
        return ""

    def excess(self, costs: Mapping[str, float]) -> float:
        """Return how far ``costs`` are outside: the sum of logarithms of ratios, 0 within."""
        return sum(self.excesses(costs).values())

    def excesses(self, costs: Mapping[str, float]) -> dict[str, float]:
        """Return the same by key of the bound, of those that are broken."""
        found = {}
        for key, (name, bound, upper) in self._named().items():
            value = costs[name]
            if value > bound if upper else value < bound:
                ratio = max(value, 1e-9) / max(bound, 1e-9)
                found[key] = abs(math.log(ratio)) if ratio < math.inf else 1e3
        return found

    def _named(self) -> dict[str, tuple[str, float, bool]]:
        keys = bound_keys()
        return {key: (keys[key][0], bound, keys[key][1]) for key, bound in self.bounds.items()}


def number(value: float) -> str:
    """Return a bound as a user writes it."""
    return str(int(value)) if value == int(value) else str(value)
