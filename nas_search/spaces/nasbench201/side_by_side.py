"""NAS-Bench-201 cells of many candidates, level by level.

A dense convolution runs once per level and place in the cell: candidates have the same weights
there, and others at another place. What comes before and after it is one call per level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from nas_search.kernels.grams import terms_side_by_side
from nas_search.layers import pooling
from nas_search.layers.convolution import pair
from nas_search.layers.convolution_gradient import Geometry
from nas_search.layers.side_by_side import EdgeLayers, Kernels, Known, Weights, once
from nas_search.spaces.four_nodes import EDGES
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.levels import (
    Calls,
    Group,
    Kind,
    Level,
    Levels,
    add,
    beside,
    output,
    pick,
    read,
)
from nas_search.stacked.routing import Edge

CONVOLUTIONS = ("nor_conv_1x1", "nor_conv_3x3")


def _kind(edge: Edge) -> Kind:
    place = EDGES.index((edge.slot, edge.target)) if edge.operation in CONVOLUTIONS else 0
    return edge.operation, place


def _after_relu(kind: Kind) -> bool:
    return kind[0] in CONVOLUTIONS


def _result(kind: Kind) -> str:
    return "convolution" if kind[0] in CONVOLUTIONS else kind[0]


CALLS = Calls(
    (*CONVOLUTIONS, "skip_connect", "avg_pool_3x3"),
    _kind,
    _after_relu,
    _result,
    frozenset({"avg_pool_3x3"}),
)


def levels_of(cells: Sequence[Sequence[Edge]], last: int, device: torch.device) -> Levels:
    """Return the levels of the candidates' cells, whose output is node ``last``."""
    output_edge = Edge(last + 1, 0, "", 1, last)
    return Levels([[*edges, output_edge] for edges in cells], 1, CALLS, device)


def run_cell(
    cell: nn.Module, name: str, levels: Levels, candidates: Candidates, x: Tensor
) -> Tensor:
    """Return the output of a cell, (n, K, C, H, W), from its input of the same shape.

    Args:
        cell: holds the layers that its candidates have.
        name: its name in the network.
        levels: of its candidates.
        candidates: of the network.
        x: the input.
    """
    layers: EdgeLayers = candidates.edge_layers
    shape = x.shape
    values = beside([x])  # the input belongs to others, and values are read in place
    total = x.new_zeros(shape[0], levels.size, *shape[2:])
    for number, level in enumerate(levels.levels):
        if level.groups:
            results = _level(cell, name, layers, level, total if number else values)
            total = add(level, total, results)
    (rows,) = pick([levels.outputs], total)
    return output(levels, len(candidates), rows)


def _level(
    cell: nn.Module, name: str, layers: EdgeLayers, level: Level, total: Tensor
) -> dict[str, Tensor]:
    """Return the results of a level's calls, (n, e, C, H, W) each."""
    others = {kind: own for kind, own in level.groups.items() if not _after_relu(kind)}
    groups = {kind: own for kind, own in level.groups.items() if _after_relu(kind)}
    _, positive, *picked = read(level, [group.reads for group in others.values()], total)
    results = {
        kind[0]: x if kind[0] == "skip_connect" else _pooled(x)
        for kind, x in zip(others, picked, strict=True)
    }
    if not groups:
        return results
    grams = once(lambda: terms_side_by_side(positive))
    modules = [cell.get_submodule(_child(kind, group)) for kind, group in groups.items()]
    kernels = [
        _kernels(cast(nn.Conv2d, module.get_submodule("1")), f"{name}.{_child(kind, group)}", group)
        for module, (kind, group) in zip(modules, groups.items(), strict=True)
    ]
    xs = pick([group.reads for group in groups.values()], positive)
    known = [Known(grams, group.reads.host) for group in groups.values()]
    y = layers.convolutions(xs, kernels, known)
    norms = [cast(nn.BatchNorm2d, module.get_submodule("2")) for module in modules]
    parameters = [norm.weight for norm in norms] + [norm.bias for norm in norms]
    counts = 2 * [len(group.edges) for group in groups.values()]
    values = [own.detach().expand(n, -1) for own, n in zip(parameters, counts, strict=True)]
    scale, shift = torch.cat(values).chunk(2)
    return {**results, "convolution": layers.batch_norm(y, scale, shift, norms[0].eps)}


def _kernels(layer: nn.Conv2d, name: str, group: Group) -> Kernels:
    owners = [(f"{name}.1.weight", number) for number, _ in group.edges]
    assert not isinstance(layer.padding, str)
    geometry = Geometry(pair(layer.stride), pair(layer.padding), pair(layer.dilation), 1)
    return Kernels(Weights(layer.weight.detach(), owners), geometry)


def _child(kind: Kind, group: Group) -> str:
    """Return the name of the layers that the edges of a kind have in common."""
    edge = group.edges[0][1]
    return f"node{edge.target}_from{edge.slot}_{kind[0]}"


def _pooled(x: Tensor) -> Tensor:
    pooled = pooling.average(x.flatten(0, 1), 3, 1, 1, count_include_pad=False)
    unfolded: Tensor = pooled.unflatten(0, x.shape[:2])
    return unfolded
