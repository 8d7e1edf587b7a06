"""Several NAS-Bench-101 candidates in one network: their vertices have equal channels.

The width of a vertex depends on the cell, so only cells of equal widths run together. Each vertex
is two nodes of the routing: the sum of its inputs, and the result of its operation.
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
    stack_pool,
    vertex_channels,
)
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.network import Pool, StackedNetwork, apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step

PROJECTION = "projection"


def skeleton(graph: CellGraph101) -> Hashable:
    """Return a key that is equal for cells with equal widths of all vertices, at any size."""
    # Up to five vertices divide the channels of the output: 60 to 64 give all remainders.
    widths = tuple(vertex_channels(graph, outputs) for outputs in range(60, 65))
    return graph.sources[-1], widths


class StackedCell101(nn.Module):
    """A cell that runs each operation on the samples of the candidates that have it.

    Args:
        name: name of the cell in the network.
        graph: pruned cell of any of the candidates.
        inputs: channels of the cell's input.
        outputs: channels of its output.
        pool: returns the modules.
        routing: routing of the candidates.
        candidates: candidates of the network.
    """

    def __init__(
        self,
        name: str,
        graph: CellGraph101,
        inputs: int,
        outputs: int,
        pool: Pool,
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
                self.add_module(child, pool(f"{name}.{child}", MAKERS[step.operation], width))
            if any(step.operation == PROJECTION for step in routing.steps[_sum(vertex)]):
                child = f"vertex{vertex}_{PROJECTION}"
                module = pool(f"{name}.{child}", conv_bn_relu, inputs, width, 1)
                self.add_module(child, module)
        self.output_projection: nn.Module | None = None
        if 0 in graph.sources[-1]:
            self.output_projection = pool(
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
            return x[:, :, : self._widths[vertex - 1]]  # the first channels of a wider source
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
        pool: Pool,
    ) -> None:
        super().__init__(len(graphs))
        side = macro.smallest_image  # any size: no module depends on it
        plans = list(plan_cells(macro, (side, side)))
        self.stem = pool("stem", conv_bn_relu, image_channels, macro.channels, 3)
        routing = Routing([_edges(graph) for graph in graphs], device_of(self.stem))
        self.cells = nn.ModuleList(
            StackedCell101(
                f"cells.{number}",
                graphs[0],
                plan.inputs,
                plan.outputs,
                pool,
                routing,
                self.candidates,
            )
            for number, plan in enumerate(plans)
        )
        self._pool_before = [plan.pool for plan in plans]
        self.pool = stack_pool()
        self.head = pool("head", head, plans[-1].outputs, num_classes)

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
