"""The pass of the computation's shape: one forward pass of two images, nothing backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.gradients import normalized_network
from nas_search.passes.base import (
    DeadNetwork,
    Outcome,
    Subject,
    collects,
    collects_of_all,
    weighted_layers,
)
from nas_search.passes.reachability import calls_on_paths, layers_of_all
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


@collects_of_all(Weights, whole=(Weights,))
def weights_of_all(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Look at the weights; whose they are is known from one pass of one image."""
    layers = weighted_layers(subject.network)
    return [
        [Weights({name: layers[name].weight.detach() for name in own if name in layers})]
        for own in layers_of_all(subject.network, subject.images[:1])
    ]


@collects(Depth, LiveParameters)
def paths(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Walk along autograd's own graph of two images, from the logits back to the image.

    Raises:
        DeadNetwork: no path leads from the image to the logits.
    """
    layers: dict[Any, nn.Module] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.grad_fn is not None:
            layers[output.grad_fn] = module

    image = subject.images[:2].detach().requires_grad_()
    handles = [
        module.register_forward_hook(note)
        for module in subject.network.modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    try:
        with normalized_network(subject.network, subject.normalization), torch.enable_grad():
            logits = subject.network(image)
    finally:
        for handle in handles:
            handle.remove()
    counted = {node: 1 for node, m in layers.items() if isinstance(m, nn.Conv2d | nn.Linear)}
    lengths = _longest(logits.grad_fn, counted, image)
    if logits.grad_fn not in lengths:
        raise DeadNetwork("the logits do not depend on the image")
    live = {p for node in lengths.keys() & layers.keys() for p in layers[node].parameters()}
    return [Depth(lengths[logits.grad_fn]), LiveParameters(sum(p.numel() for p in live))]


@collects_of_all(LiveParameters)
def paths_of_all(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Count each candidate's parameters on paths; dead where none leads to the logits."""
    candidates = len(candidates_of(subject.network).all)
    live: dict[nn.Module, Tensor] = {}
    weighted = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
    for call in calls_on_paths(subject.network, subject.images[:1], weighted):
        seen = live.setdefault(call.module, call.from_image.new_zeros(candidates))
        seen[list(call.members)] |= call.from_image
    flags = torch.stack(list(live.values()), 1).tolist()
    sizes = [sum(p.numel() for p in module.parameters()) for module in live]
    counts = [sum(s for s, is_live in zip(sizes, own, strict=True) if is_live) for own in flags]
    dead = DeadNetwork("the logits do not depend on the image")
    return [[LiveParameters(count)] if count else dead for count in counts]


def graph(end: Any) -> list[Any]:
    """Return the nodes of autograd's graph that ``end`` depends on, each after those it needs."""
    order: list[Any] = []
    seen: set[Any] = set()
    stack = [(end, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(before, False) for before, _ in node.next_functions]
    return order


def _longest(end: Any, counted: dict[Any, int], image: Tensor) -> dict[Any, int]:
    """Return the largest sum of ``counted`` on a path from ``image`` to each node before ``end``.

    Nodes that no path from ``image`` reaches are left out.
    """
    length: dict[Any, int] = {}
    for node in graph(end):
        before = [length[other] for other, _ in node.next_functions if other in length]
        if before:
            length[node] = max(before) + counted.get(node, 0)
        elif getattr(node, "variable", None) is image:
            length[node] = 0
    return length
