"""The passes of the network's structure: its paths, and its weights as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from nas_search.passes.base import (
    PASSES,
    DeadNetwork,
    Outcome,
    Pass,
    Subject,
    weighted_layers,
)
from nas_search.passes.paths import Paths, find_paths, layers_of_each
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class Depth:
    """The longest path from image to logits.

    Attributes:
        layers: number of convolutions and linear layers on it.
    """

    layers: int


@dataclass(frozen=True)
class LiveParameters:
    """What is left of a network's parameters when its dead branches are cut off.

    Attributes:
        count: trainable parameters of the layers that lie on a path from image to logits.
    """

    count: int


@dataclass(frozen=True)
class Weights:
    """The weights of all convolutions and linear layers, used or not.

    Attributes:
        weights: by the layer's name, in the network's order.
    """

    weights: dict[str, Tensor]


def follow_paths(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Walk along the paths from image to logits; a candidate without one is dead."""
    kinds = (nn.Module,) if LiveParameters in wanted else ()
    paths = subject.shared.get(Paths) or find_paths(subject.network, subject.images, kinds)
    counts = [0] * len(paths.lengths)
    if LiveParameters in wanted:
        counts = count_live(subject.network, paths)
    outcomes: list[Outcome] = []
    for length, count in zip(paths.lengths, counts, strict=True):
        if length is None:
            outcomes.append(DeadNetwork("the logits do not depend on the image"))
        else:
            results = (Depth(length), LiveParameters(count))
            outcomes.append([result for result in results if type(result) in wanted])
    return outcomes


def count_live(network: nn.Module, paths: Paths) -> list[int]:
    """Return each candidate's number of parameters on paths from the image to the logits.

    A parameter belongs to the innermost module holding it that was called: parts of a module that
    runs them itself, as attention does its output layer, are never called.
    """
    count = len(candidates_of(network))
    fed: dict[nn.Module, np.ndarray] = {}
    for call in paths.calls:
        flags = fed.setdefault(call.module, np.zeros(count, dtype=bool))
        flags[list(call.members)] |= call.from_image
    live: dict[nn.Parameter, np.ndarray] = {}
    for module, owner in _with_owners(network, fed, network):
        for parameter in module.parameters(recurse=False):
            if parameter in paths.weights:
                live[parameter] = live.get(parameter, False) | fed[owner]
    total = np.zeros(count, dtype=np.int64)
    for parameter, flags in live.items():
        total += parameter.numel() * flags
    numbers: list[int] = total.tolist()
    return numbers


def _with_owners(
    module: nn.Module, called: dict[nn.Module, np.ndarray], owner: nn.Module
) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield every module in ``module`` with the innermost one around it that was called."""
    owner = module if module in called else owner
    yield module, owner
    for child in module.children():
        yield from _with_owners(child, called, owner)


def look_at_weights(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Return each candidate's weights; one image is forwarded to tell whose they are."""
    layers = weighted_layers(subject.network)
    return [
        [Weights({name: layers[name].weight.detach() for name in own if name in layers})]
        for own in layers_of_each(subject.network, subject.images)
    ]


PASSES.add(Pass(name="paths", run=follow_paths, provides=(Depth, LiveParameters)))
PASSES.add(Pass(name="weights", run=look_at_weights, provides=(Weights,), network="complete"))
