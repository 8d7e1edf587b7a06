"""Which layers lie on a path from image to logits, and how many layers the longest path has.

The network runs once and autograd's own graph of that run is walked: it is exact whatever the
operations are (:mod:`nas_search.passes.graph`). The pass of per-sample gradients leaves its graph
for that; where it does not run, the network runs once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas_search.gradients import forwards_replaced
from nas_search.passes.graph import (
    NOTHING,
    WEIGHT,
    graph_of,
    longest_paths,
    longest_paths_of_one,
    reaching_the_end,
)
from nas_search.passes.hooks import hooked
from nas_search.stacked.candidates import Members, candidates_of


@dataclass(frozen=True)
class Call:
    """One call of a module; one that returns what it was given passes for what gave that.

    Attributes:
        module: the module.
        members: the k candidates whose samples it sees.
        from_image: (k,) whether a path leads from the image through its output to the logits.
        from_any: (k,) the same for paths that begin in the image or in a weight.
    """

    module: nn.Module
    members: Members
    from_image: np.ndarray
    from_any: np.ndarray


COUNTED: dict[type[nn.Module], int] = {
    nn.modules.conv._ConvNd: 1,
    nn.Linear: 1,
    nn.Bilinear: 1,
    nn.RNNBase: 1,
    nn.RNNCellBase: 1,
    nn.MultiheadAttention: 2,  # the projections before and after it
}
"""Layers whose number is the length of a path."""


def _layers(kind: type[nn.Module]) -> int:
    """Return the number of layers that a module of ``kind`` counts as."""
    return max((n for counted, n in COUNTED.items() if issubclass(kind, counted)), default=0)


class Watch:
    """Notes which nodes of autograd's graph the modules of a network make while it runs.

    Args:
        network: an ordinary or a stacked network.
        kinds: kinds of modules whose calls are noted, beside :data:`COUNTED`.

    Attributes:
        run: the calls of modules, in order: the module, the candidates whose samples it saw, and
            the nodes of its output.
        end: the node that made the logits; None before the run, or without a graph.
    """

    def __init__(self, network: nn.Module, kinds: tuple[type[nn.Module], ...] = ()) -> None:
        self.run: list[tuple[nn.Module, Members, list[Any]]] = []
        self.end: Any = None
        self._network, self._kinds = network, (*COUNTED, *kinds)
        self._candidates = candidates_of(network)

    def __enter__(self) -> Watch:
        noted = {module for module in self._network.modules() if isinstance(module, self._kinds)}
        noted.add(self._network)
        self._handles = [module.register_forward_hook(self._note) for module in noted]
        self._handles.append(self._network.register_forward_pre_hook(self._begin))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.run, self.end = [], None  # of several runs the last one counts

    def _note(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.run.append((module, self._candidates.active, _nodes(output)))
        if module is self._network:
            self.end = next(iter(_nodes(output)), None)


def find_paths(
    network: nn.Module, images: Tensor, kinds: tuple[type[nn.Module], ...] = ()
) -> Paths:
    """Run ``network`` once, in evaluation mode, and return its paths.

    Args:
        network: an ordinary network (K = 1) or a stacked one.
        images: (n, C, H, W); two of them are used, and their values do not matter. Or tokens.
        kinds: kinds of modules whose calls are noted.
    """
    image = begin_paths(images[:2])
    with forwards_replaced(network, {}), torch.enable_grad(), Watch(network, kinds) as watch:
        network(image)
    return Paths(network, watch, image)


def begin_paths(images: Tensor) -> Tensor:
    """Return ``images`` as leaves of autograd's graph; tokens as they are."""
    return images.detach().requires_grad_() if images.is_floating_point() else images


class Paths:
    """The paths through a network of K candidates.

    Args:
        network: an ordinary network (K = 1) or a stacked one.
        watch: has seen one run of it.
        image: the input of that run, from :func:`begin_paths`.

    Attributes:
        lengths: per candidate, the number of convolutions and linear layers on the longest path
            from the image to the logits; None where there is no path.
        weights: the parameters that the logits depend on.
    """

    def __init__(self, network: nn.Module, watch: Watch, image: Tensor) -> None:
        self._count = len(candidates_of(network))
        self._run, self._end = watch.run, watch.end
        self._graph = graph_of(self._end)
        counted: dict[Any, int] = {}
        known: dict[type[nn.Module], int] = {}
        for module, _, nodes in self._run:
            kind = type(module)
            if kind not in known:
                known[kind] = _layers(kind)
            layers = known[kind]
            if layers:
                counted.update((node, layers) for node in nodes)
        leaves = {image} if image.is_floating_point() else None
        if self._count == 1:
            self._numbers = longest_paths_of_one(self._graph, counted, leaves)
        else:
            sizes = {node: len(members) for _, members, nodes in self._run for node in nodes}
            self._numbers = longest_paths(self._graph, counted, sizes, leaves)
        lengths = self._numbers.get(self._end, np.full(self._count, NOTHING)).tolist()
        self.lengths = [length if length >= 0 else None for length in lengths]
        ends = (node for node, reads in self._graph.items() if not reads)
        variables = (getattr(node, "variable", None) for node in ends)
        self.weights = {leaf for leaf in variables if leaf is not None and leaf is not image}

    @cached_property
    def calls(self) -> list[Call]:
        """The noted calls of modules, in order; a module that holds others comes after them."""
        reaching = reaching_the_end(self._graph, self._numbers, self._count)
        calls: list[Call] = []
        for module, members, nodes in self._run:
            from_image, from_any = np.zeros((2, len(members)), dtype=bool)
            for node in nodes:
                if node in reaching:
                    from_image |= (self._numbers[node] >= 0) & reaching[node]
                    from_any |= (self._numbers[node] >= WEIGHT) & reaching[node]
            calls.append(Call(module, members, from_image, from_any))
        return calls


def layers_of_each(network: nn.Module, images: Tensor) -> list[list[str]]:
    """Return the names of each candidate's layers with parameters, in the network's order.

    Args:
        network: an ordinary network, all of whose layers are its candidate's, or a stacked one with
            everything that its candidates have.
        images: (n, C, H, W); one of them is used, and its values do not matter.
    """
    names = [
        name
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    candidates = candidates_of(network)
    if len(candidates) == 1:
        return [names]
    having: dict[nn.Module, set[int]] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        having.setdefault(module, set()).update(candidates.active)

    layers = [network.get_submodule(name) for name in names]
    hooks = hooked(layer.register_forward_hook(note) for layer in layers)
    with hooks, forwards_replaced(network, {}), torch.no_grad():
        network(images[:1])
    owners = [(name, having.get(layer, ())) for name, layer in zip(names, layers, strict=True)]
    return [[name for name, members in owners if number in members] for number in candidates.all]


def _nodes(output: Any) -> list[Any]:
    """Return the nodes of the graph that made the tensors of a module's output."""
    parts = output if isinstance(output, tuple | list) else (output,)
    return [part.grad_fn for part in parts if isinstance(part, Tensor) and part.grad_fn is not None]
