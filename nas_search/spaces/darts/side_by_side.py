"""DARTS cells of many candidates, level by level: one call per kind of operation and level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_search.kernels.grams import terms_side_by_side
from nas_search.layers import pooling
from nas_search.layers.convolution_gradient import Geometry
from nas_search.layers.side_by_side import (
    EdgeLayers,
    Kernels,
    Known,
    Weights,
    factorized_reduce,
    once,
    shared,
)
from nas_search.spaces.operations import FactorizedReduce
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.levels import (
    Calls,
    Group,
    Kind,
    Level,
    Levels,
    Places,
    add,
    apart,
    beside,
    output,
    pick,
    read,
    to_device,
)
from nas_search.stacked.routing import Edge

ONCE = ("dil_conv_3x3", "dil_conv_5x5")
TWICE = ("sep_conv_3x3", "sep_conv_5x5")
"""Depthwise separable convolutions, and those that are applied twice."""

SKIP = ("skip_connect", 2)
"""The skip connection that halves the map."""

INPUTS = 2


def _after_relu(kind: Kind) -> bool:
    return kind[0] in ONCE + TWICE or kind == SKIP


def _result(kind: Kind) -> str:
    operation = kind[0]
    return "once" if operation in ONCE else "twice" if operation in TWICE else operation


def _kind(edge: Edge) -> Kind:
    return edge.operation, edge.stride


POOLINGS = ("max_pool_3x3", "avg_pool_3x3")
ORDER = (*ONCE, *TWICE, "skip_connect", *POOLINGS)
CALLS = Calls(ORDER, _kind, _after_relu, _result, frozenset(POOLINGS))


class Use(NamedTuple):
    """Parameters of some edges: a part of those of one shape, gathered for the whole cell.

    Attributes:
        shape: name of the shape.
        number: of the part.
        names: within the cell, one per edge.
        members: the candidates that they belong to.
    """

    shape: str
    number: int
    names: tuple[str, ...]
    members: tuple[int, ...]


class EdgePlan:
    """What the cells of one kind run, level by level, and which parameters each call takes.

    Args:
        cells: edges of each candidate's cell.
        device: device of the values.
    """

    def __init__(self, cells: Sequence[Sequence[Edge]], device: torch.device) -> None:
        self.levels = Levels(cells, INPUTS, CALLS, device)
        self._distinct: dict[str, dict[str, int]] = {}
        self._index: dict[str, list[int]] = {}
        self._sizes: dict[str, list[int]] = {}
        self.uses: list[dict[str, Use]] = [self._of_level(level) for level in self.levels.levels]
        places = {shape: Places(index) for shape, index in self._index.items()}
        to_device(list(places.values()), device)
        self._on_device = {shape: own.device for shape, own in places.items()}

    def _of_level(self, level: Level) -> dict[str, Use]:
        uses: dict[str, Use] = {}
        groups = {kind[0]: group for kind, group in level.groups.items() if _after_relu(kind)}
        halving = groups.pop(SKIP[0], None)
        chains = {1: [*ONCE, *TWICE], 5: list(TWICE)}
        for child, operations in chains.items():
            together = [operation for operation in operations if operation in groups]
            for operation in together:
                size = operation[-1]
                use = self._use(f"depthwise {size}", [groups[operation]], f"{child}.weight")
                uses[f"{operation} {child}"] = use
            if together:
                own = [groups[operation] for operation in together]
                uses[f"pointwise {child}"] = self._use("pointwise", own, f"{child + 1}.weight")
                uses[f"scale {child}"] = self._use("norm", own, f"{child + 2}.weight")
                uses[f"shift {child}"] = self._use("norm", own, f"{child + 2}.bias")
        if halving is not None:
            for part in ("even.weight", "odd.weight", "norm.weight", "norm.bias"):
                uses[f"halving {part}"] = self._use(f"halving {part}", [halving], part)
        return uses

    def _use(self, shape: str, groups: Sequence[Group], parameter: str) -> Use:
        edges = [edge for group in groups for edge in group.edges]
        names = tuple(
            f"node{edge.target}_slot{edge.slot}_{edge.operation}.{parameter}" for _, edge in edges
        )
        distinct = self._distinct.setdefault(shape, {})
        index = self._index.setdefault(shape, [])
        sizes = self._sizes.setdefault(shape, [])
        index += [distinct.setdefault(name, len(distinct)) for name in names]
        sizes.append(len(names))
        return Use(shape, len(sizes) - 1, names, tuple(number for number, _ in edges))

    def gathered(self, parameters: Mapping[str, Tensor]) -> dict[str, Sequence[Tensor]]:
        """Return the values of all uses of a cell's parameters: a call, and one per shape."""
        found: dict[str, Sequence[Tensor]] = {}
        names = [name for distinct in self._distinct.values() for name in distinct]
        if not names:
            return found
        with torch.no_grad():
            flat = torch.cat([parameters[name].flatten() for name in names])
            begin = 0
            for shape, distinct in self._distinct.items():
                like = parameters[next(iter(distinct))]
                end = begin + len(distinct) * like.numel()
                values = flat[begin:end].view(len(distinct), *like.shape)
                every = values.index_select(0, self._on_device[shape])
                found[shape] = every.split(self._sizes[shape])
                begin = end
        return found


def run_cell(
    cell: nn.Module,
    name: str,
    plan: EdgePlan,
    candidates: Candidates,
    first: Tensor,
    second: Tensor,
) -> Tensor:
    """Return the output of a cell, (n, K, C, H, W), from those of the two before it.

    Args:
        cell: holds the layers that its candidates have.
        name: its name in the network.
        plan: what it runs.
        candidates: of the network.
        first: output of the cell before the last, (n, K, C, H, W).
        second: output of the last cell.
    """
    layers: EdgeLayers = candidates.edge_layers
    count = len(candidates)
    inputs = [
        _preprocessed(layers, getattr(cell, child), f"{name}.{child}", x, count)
        for child, x in (("preprocess0", first), ("preprocess1", second))
    ]
    run = _Run(layers, name, plan, plan.gathered(dict(cell.named_parameters())))
    values = beside(inputs)
    total: Tensor | None = None
    for number, level in enumerate(plan.levels.levels):
        results = run.level(number, level, values if total is None else total)
        if total is None:
            total = _zeros(plan.levels.size, values, results)
        if results:
            total = add(level, total, results)
    assert total is not None
    (rows,) = pick([plan.levels.outputs], total)
    return output(plan.levels, count, rows)


def _zeros(size: int, values: Tensor, results: Mapping[str, Tensor]) -> Tensor:
    """Return room for the values of all nodes: of the size of the first results."""
    n, _, channels, height, width = values.shape
    if results:
        height, width = next(iter(results.values())).shape[-2:]
    return values.new_zeros(n, size, channels, height, width)


def _preprocessed(
    layers: EdgeLayers, module: nn.Module, name: str, x: Tensor, candidates: int
) -> Tensor:
    """Return an input of a cell with the cell's channels, by layers that all candidates share."""
    x = x.relu()
    if isinstance(module, FactorizedReduce):
        even, odd = (
            shared(layer.weight, f"{name}.{child}.weight", candidates)
            for child, layer in (("even", module.even), ("odd", module.odd))
        )
        return factorized_reduce(layers, x, even, odd, _norm(module.norm))
    convolution = cast(nn.Conv2d, module.get_submodule("1"))
    y = layers.pointwise(x, shared(convolution.weight, f"{name}.1.weight", candidates))
    return layers.batch_norm(y, *_norm(cast(nn.BatchNorm2d, module.get_submodule("2"))))


def _norm(module: nn.BatchNorm2d) -> tuple[Tensor, Tensor, float]:
    return module.weight.detach()[None], module.bias.detach()[None], module.eps


class _Run:
    """One cell's operations.

    Args:
        layers: where the gradients go.
        name: the cell's name.
        plan: what it runs.
        values: the parameters of all uses.
    """

    def __init__(
        self,
        layers: EdgeLayers,
        name: str,
        plan: EdgePlan,
        values: Mapping[str, Sequence[Tensor]],
    ) -> None:
        self._layers, self._name, self._plan, self._values = layers, name, plan, values

    def level(self, number: int, level: Level, total: Tensor) -> dict[str, Tensor]:
        """Return the results of a level's calls, (n, e, C, H, W) each."""
        if not level.groups:
            return {}
        others = {kind: own for kind, own in level.groups.items() if not _after_relu(kind)}
        _, positive, *picked = read(level, [group.reads for group in others.values()], total)
        results = {
            _result(kind): _weightless(kind, x) for kind, x in zip(others, picked, strict=True)
        }
        groups = {kind: own for kind, own in level.groups.items() if _after_relu(kind)}
        if groups:
            grams = once(lambda: terms_side_by_side(positive))
            xs = pick([group.reads for group in groups.values()], positive)
            known = [Known(grams, group.reads.host) for group in groups.values()]
            uses = self._plan.uses[number]
            kinds = list(groups)
            if SKIP in groups:  # the last one
                results["skip_connect"] = self._halved(uses, xs[-1], known[-1])
                kinds = kinds[:-1]
            if kinds:
                results |= self._convolved(uses, kinds, xs[: len(kinds)], known[: len(kinds)])
        return results

    def _convolved(
        self,
        uses: Mapping[str, Use],
        kinds: Sequence[Kind],
        xs: Sequence[Tensor],
        known: Sequence[Known],
    ) -> dict[str, Tensor]:
        y = self._separable(uses, 1, kinds, xs, known)
        again = [kind for kind in kinds if kind[0] in TWICE]
        if not again:
            return {"once": y}
        few = len(kinds) - len(again)
        sizes = [sum(x.shape[1] for x in xs[:few]), *(x.shape[1] for x in xs[few:])]
        first = 0 if few else 1
        parts = apart(sizes[first:], [False, *(True for _ in again)][first:], y)
        after = [(operation, 1) for operation, _ in again]
        results = {"twice": self._separable(uses, 5, after, parts[-len(again) :], None)}
        return {"once": parts[0], **results} if few else results

    def _separable(
        self,
        uses: Mapping[str, Use],
        child: int,
        kinds: Sequence[Kind],
        xs: Sequence[Tensor],
        known: Sequence[Known] | None,
    ) -> Tensor:
        kernels = []
        for operation, stride in kinds:
            dilation = 2 if operation in ONCE else 1
            padding = dilation * (int(operation[-1]) // 2)
            weights = self._weights(uses[f"{operation} {child}"])
            kernels.append(
                Kernels(
                    weights, Geometry((stride, stride), (padding, padding), (dilation, dilation), 1)
                )
            )
        y = self._layers.convolutions(xs, kernels, known)
        values, owners = self._weights(uses[f"pointwise {child}"])
        y = self._layers.pointwise(y, Weights(values.flatten(2), owners))
        scale, shift = (self._of(uses[f"{part} {child}"]) for part in ("scale", "shift"))
        return self._layers.batch_norm(y, scale, shift, EPS)

    def _halved(self, uses: Mapping[str, Use], x: Tensor, known: Known) -> Tensor:
        even, odd = (self._weights(uses[f"halving {part}.weight"]) for part in ("even", "odd"))
        even, odd = (Weights(own.values.flatten(2), own.owners) for own in (even, odd))
        scale, shift = (self._of(uses[f"halving norm.{part}"]) for part in ("weight", "bias"))
        return factorized_reduce(self._layers, x, even, odd, (scale, shift, EPS), known)

    def _weights(self, use: Use) -> Weights:
        owners = [
            (f"{self._name}.{name}", member)
            for name, member in zip(use.names, use.members, strict=True)
        ]
        return Weights(self._of(use), owners)

    def _of(self, use: Use) -> Tensor:
        return self._values[use.shape][use.number]


EPS = nn.BatchNorm2d(1, device="meta").eps
"""That of all batch-norms of the space."""


def _weightless(kind: Kind, x: Tensor) -> Tensor:
    """Return what a pooling or an identity makes of ``x`` (n, e, C, H, W)."""
    operation, stride = kind
    if operation == "skip_connect":
        return x
    maps = x.flatten(0, 1)
    if operation == "max_pool_3x3":
        y = functional.max_pool2d(maps, 3, stride, 1)
    else:
        y = pooling.average(maps, 3, stride, 1, count_include_pad=False)
    unfolded: Tensor = y.unflatten(0, x.shape[:2])
    return unfolded
