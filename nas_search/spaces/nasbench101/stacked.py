"""Several candidates of NAS-Bench-101 in one network: vertex by vertex their channels agree.

How wide a vertex is follows from the cell, so only cells of equal widths run together. Each vertex
is two nodes of the routing: what flows into it, added up, and what its operation makes of that.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn

from nas_search.spaces.nasbench101.graph import OPERATIONS, CellGraph101
from nas_search.spaces.nasbench101.network import (
    MAKERS,
    Nasbench101Macro,
    conv_bn_relu,
    head,
    plan_cells,
    pool,
    vertex_channels,
)
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.network import Pool, StackedNetwork, apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step

PROJECTION = "projection"


def skeleton(graph: CellGraph101) -> Hashable:
    """Return what cells have in common that are equally wide everywhere, at any size."""
    # Up to five vertices divide the output's channels: 60 to 64 leave all remainders.
    widths = tuple(vertex_channels(graph, outputs) for outputs in range(60, 65))
    return graph.sources[-1], widths


class StackedCell101(nn.Module):
    """A cell that runs every operation that any candidate has, on that candidate's samples.

    Args:
        name: its name in the network.
        graph: any candidate's pruned cell.
        inputs: channels of the cell's input.
        outputs: channels of its output.
        modules: gives the modules.
        routing: the candidates' routes.
        candidates: whose samples a layer sees.
    """

    def __init__(
        self,
        name: str,
        graph: CellGraph101,
        inputs: int,
        outputs: int,
        modules: Pool,
        routing: Routing,
        candidates: Candidates,
    ) -> None:
        super().__init__()
        self._routing, self._candidates = routing, candidates
        self._widths = vertex_channels(graph, outputs)
        self._feeding = [_result(vertex) for vertex in graph.sources[-1] if vertex]
        for vertex in range(1, graph.vertices - 1):
            width = self._widths[vertex - 1]
            for step in routing.steps[_result(vertex)]:
                child = f"vertex{vertex}_{step.operation}"
                self.add_module(child, modules(f"{name}.{child}", MAKERS[step.operation], width))
            if any(step.operation == PROJECTION for step in routing.steps[_sum(vertex)]):
                child = f"vertex{vertex}_{PROJECTION}"
                module = modules(f"{name}.{child}", conv_bn_relu, inputs, width, 1)
                self.add_module(child, module)
        self.output_projection: nn.Module | None = None
        if 0 in graph.sources[-1]:
            self.output_projection = modules(
                f"{name}.output_projection", conv_bn_relu, inputs, outputs, 1
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, n, inputs, H, W) to (K, n, outputs, H, W)."""
        total: Tensor | None = None
        if self._feeding:
            values = self._routing.run([x], self._feeding, self._run_step, lambda: x)
            total = values[0] if len(values) == 1 else torch.cat(values, dim=2)
        if self.output_projection is None:
            assert total is not None
            return total
        projected = apply_to_members(
            self._candidates, self._candidates.all, self.output_projection, x
        )
        return projected if total is None else projected + total

    def _run_step(self, node: int, step: Step, x: Tensor) -> Tensor:
        vertex = (node + 1) // 2
        if node == _sum(vertex) and step.operation != PROJECTION:
            return x[:, :, : self._widths[vertex - 1]]  # a wider source gives its first channels
        module = self.get_submodule(f"vertex{vertex}_{step.operation}")
        return apply_to_members(self._candidates, step.members, module, x)


def _sum(vertex: int) -> int:
    return 2 * vertex - 1


def _result(vertex: int) -> int:
    return 2 * vertex


class StackedNetwork101(StackedNetwork):
    """See :class:`nas_search.stacked.network.StackedNetwork`."""

    def __init__(
        self,
        graphs: Sequence[CellGraph101],
        macro: Nasbench101Macro,
        image_channels: int,
        num_classes: int,
        modules: Pool,
    ) -> None:
        super().__init__(len(graphs))
        side = macro.smallest_image  # any will do: no module depends on the size of its image
        plans = list(plan_cells(macro, (side, side)))
        self.stem = modules("stem", conv_bn_relu, image_channels, macro.channels, 3)
        routing = Routing([_edges(graph) for graph in graphs], device_of(self.stem))
        self.cells = nn.ModuleList(
            StackedCell101(
                f"cells.{number}",
                graphs[0],
                plan.inputs,
                plan.outputs,
                modules,
                routing,
                self.candidates,
            )
            for number, plan in enumerate(plans)
        )
        self._pool_before = [plan.pool for plan in plans]
        self.pool = pool()
        self.head = modules("head", head, plans[-1].outputs, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (K n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(self.fold(images))
        for cell, halve in zip(self.cells, self._pool_before, strict=True):
            x = self.pool(x) if halve else x
            x = cell(x.unflatten(0, (len(self.candidates), -1))).flatten(0, 1)
        logits: Tensor = self.head(x)
        return logits


def _edges(graph: CellGraph101) -> list[Edge]:
    edges: list[Edge] = []
    for vertex, operation in enumerate(graph.operations, 1):
        for source in graph.sources[vertex - 1]:
            kind = "" if source else PROJECTION
            edges.append(Edge(_sum(vertex), source, kind, 1, _result(source)))
        edges.append(Edge(_result(vertex), 0, OPERATIONS[operation], 1, _sum(vertex)))
    return edges
