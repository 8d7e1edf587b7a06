"""Which layers lie on a path from image to logits, and how many layers the longest path has.

The network runs once and autograd's own graph of that run is walked: it is exact whatever the
operations are. In a stacked network a node of the graph serves several candidates, so the walk
carries one number per candidate. Only the routing moves samples between candidates, and its nodes
tell how (:class:`nas_search.stacked.routing.Moves`); every other operation keeps them in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import forwards_replaced
from nas_search.passes.hooks import hooked
from nas_search.stacked.candidates import Members, candidates_of
from nas_search.stacked.routing import Moves

NOTHING, WEIGHT = -2, -1
"""Numbers of a node that no path reaches, and of one that paths reach from weights alone.

From 0 on the number is that of the layers on the longest path from the image: the largest of what
comes in, plus one at a convolution or linear layer.
"""


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


class Watch:
    """Notes which nodes of autograd's graph the modules of a network make while it runs.

    Attributes:
        run: the calls of modules, in order: the module, the candidates whose samples it saw, and
            the nodes of its output.
        end: the node that made the logits; None before the run, or without a graph.
        begin: nodes of what modules made of tokens, where paths begin: integers have no graph.
    """

    def __init__(self, network: nn.Module) -> None:
        self.run: list[tuple[nn.Module, Members, list[Any]]] = []
        self.end: Any = None
        self.begin: set[Any] = set()
        self._network = network
        self._candidates = candidates_of(network)

    def __enter__(self) -> Watch:
        modules = self._network.modules()
        self._handles = [module.register_forward_hook(self._note) for module in modules]
        self._handles.append(self._network.register_forward_pre_hook(self._begin))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.run, self.end, self.begin = [], None, set()  # of several runs the last one counts

    def _note(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self.run.append((module, self._candidates.active, _nodes(output)))
        if next(module.children(), None) is None and any(
            isinstance(value, Tensor) and not value.is_floating_point() for value in inputs
        ):
            self.begin.update(_nodes(output))
        if module is self._network:
            self.end = next(iter(_nodes(output)), None)


def find_paths(network: nn.Module, images: Tensor) -> Paths:
    """Run ``network`` once, in evaluation mode, and return its paths.

    Args:
        network: an ordinary network (K = 1) or a stacked one.
        images: (n, C, H, W); two of them are used, and their values do not matter. Or tokens.
    """
    image = begin_paths(images[:2])
    with forwards_replaced(network, {}), torch.enable_grad(), Watch(network) as watch:
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
        self._order = _graph(self._end)
        counted = {
            node
            for module, _, nodes in self._run
            if isinstance(module, nn.Conv2d | nn.Linear)
            for node in nodes
        }
        sizes = {node: len(members) for _, members, nodes in self._run for node in nodes}
        self._numbers = _forwards(self._order, counted, sizes, {image}, watch.begin)
        lengths = self._numbers.get(self._end, np.full(self._count, NOTHING)).tolist()
        self.lengths = [length if length >= 0 else None for length in lengths]
        leaves = (getattr(node, "variable", None) for node in self._order)
        self.weights = {leaf for leaf in leaves if leaf is not None and leaf is not image}

    @cached_property
    def calls(self) -> list[Call]:
        """Every call of a module, in order; a module that holds others comes after them."""
        reaching = _backwards(self._order, self._numbers, self._count)
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


def _graph(end: Any) -> list[Any]:
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


def _inputs(node: Any) -> Iterator[tuple[Any, list[int] | None, list[int] | None]]:
    """Yield what a node reads: another node, which of its candidates, and where they go.

    None stands for all candidates of the other node and of this one.
    """
    moves = getattr(node, "moves", None)
    for number, (before, output) in enumerate(node.next_functions):
        if before is not None:
            others = getattr(before, "moves", None)
            taken = others.taken[output] if isinstance(others, Moves) and others.taken else None
            put = moves.put[number] if isinstance(moves, Moves) and moves.put else None
            yield before, taken, put


def _forwards(
    order: list[Any],
    counted: set[Any],
    sizes: dict[Any, int],
    leaves: set[Tensor],
    begin: set[Any],
) -> dict[Any, np.ndarray]:
    """Return each node's number per candidate; one alone where weights are all that it reads.

    Args:
        order: the nodes.
        counted: those that are layers.
        sizes: numbers of candidates of some nodes.
        leaves: where paths begin.
        begin: nodes where they begin, too.
    """
    numbers: dict[Any, np.ndarray] = {}
    for node in order:
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            numbers[node] = np.array([0 if leaf in leaves else WEIGHT])
            continue
        moves = getattr(node, "moves", None)
        size = moves.size if isinstance(moves, Moves) else sizes.get(node, 1)
        own = np.full(size, 0 if node in begin else NOTHING)
        for before, taken, put in _inputs(node):
            read = numbers[before]
            if taken is not None and len(read) > 1:
                read = read[taken]
            if put is not None:
                own[put] = np.maximum(own[put], read)
            elif len(read) == 1 or size in (1, len(read)):
                own = np.maximum(own, read)
            else:
                raise InputError(
                    f"an operation that runs {len(read)} candidates gives the samples of {size}: a "
                    "stacked network moves them by nas_search.stacked.routing alone"
                )
        numbers[node] = np.where(own >= 0, own + 1, own) if node in counted else own
    return numbers


def _backwards(
    order: list[Any], numbers: dict[Any, np.ndarray], candidates: int
) -> dict[Any, np.ndarray]:
    """Return per node and candidate whether a path leads from the node to the logits."""
    reaching: dict[Any, np.ndarray] = {}
    for node in reversed(order):
        flags = reaching.setdefault(node, np.ones(candidates, dtype=bool))  # the last node
        for before, taken, put in _inputs(node):
            read = flags if put is None or len(flags) == 1 else flags[put]
            own = reaching.setdefault(before, np.zeros(len(numbers[before]), dtype=bool))
            if len(own) == 1:  # weights, and the image
                own |= read.any()
            elif taken is None:
                own |= read
            else:
                own[taken] |= read
    return reaching
