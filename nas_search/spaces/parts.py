"""A network as the parts it is made of, each counted once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import nn

from nas_search.spaces.costs import Cost, cost_of


@dataclass(frozen=True)
class Part:
    """A module at one place of a network: what makes it, and the image that it takes.

    Attributes:
        make: a function of a module, so that a part can be pickled.
        args: its arguments, hashable.
        input_shape: (channels, height, width) of what the module takes.
        training: it runs in train mode alone: it has parameters, but no MACs.
    """

    make: Callable[..., nn.Module]
    args: tuple[Any, ...]
    input_shape: tuple[int, int, int]
    training: bool = False


@lru_cache(maxsize=16384)
def part_cost(part: Part) -> Cost:
    """Return parameters and MACs of a part."""
    cost = cost_of(part.make, *part.args, input_shape=part.input_shape)
    return Cost(cost.params, 0) if part.training else cost


def total_cost(parts: Mapping[Part, int]) -> Cost:
    """Return the cost of parts, each as often as it occurs."""
    params = macs = 0
    uncounted: frozenset[str] = frozenset()
    for part, times in parts.items():
        cost = part_cost(part)
        params += times * cost.params
        macs += times * cost.macs
        uncounted |= cost.uncounted
    return Cost(params, macs, uncounted)
