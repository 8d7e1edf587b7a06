"""Several NAS-Bench-201 candidates in one network: they differ only in their edges."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.nasbench201.network import (
    OPERATIONS,
    Nasbench201Macro,
    head,
    stem,
)
from nas_search.spaces.nasbench201.side_by_side import levels_of, run_cell
from nas_search.spaces.operations import ResidualBlock
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.levels import Levels
from nas_search.stacked.network import Pool, StackedNetwork, apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step, live_edges

OUTPUT = 3
"""The output node of the cell."""


class StackedCell201(nn.Module):
    """A cell that runs each operation on the samples of the candidates that have it."""

    def __init__(
        self, name: str, channels: int, pool: Pool, routing: Routing, candidates: Candidates
    ) -> None:
        super().__init__()
        self._name, self._routing, self._candidates = name, routing, candidates
        for target in range(1, OUTPUT + 1):
            for step in routing.steps[target]:
                make, child = OPERATIONS[step.operation], _name(target, step)
                assert make is not None
                self.add_module(child, pool(f"{name}.{child}", make, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, n, C, H, W) to the same shape."""
        return self._routing.run([x], [OUTPUT], self._run_step, lambda: x.new_zeros(x.shape))[0]

    def run_levels(self, levels: Levels, x: Tensor) -> Tensor:
        """Map (n, K, C, H, W) to the same shape, level by level."""
        return run_cell(self, self._name, levels, self._candidates, x)

    def _run_step(self, node: int, step: Step, x: Tensor) -> Tensor:
        return apply_to_members(
            self._candidates, step.members, self.get_submodule(_name(node, step)), x
        )


def _name(target: int, step: Step) -> str:
    return f"node{target}_from{step.slot}_{step.operation}"


class StackedNetwork201(StackedNetwork):
    """See :class:`nas_search.stacked.network.StackedNetwork`."""

    runs_level_by_level = True

    def __init__(
        self,
        candidates: Sequence[tuple[str, ...]],
        macro: Nasbench201Macro,
        image_channels: int,
        num_classes: int,
        pool: Pool,
        include_dead_branches: bool,
    ) -> None:
        edges = [_edges(operations) for operations in candidates]
        super().__init__(len(candidates))
        channels = macro.channels
        self.stem = pool("stem", stem, image_channels, channels)
        if not include_dead_branches:
            edges = [live_edges(cell, [OUTPUT]) for cell in edges]
        routing = Routing(edges, device_of(self.stem))
        self._edges = edges
        self.cells = nn.ModuleList()
        for stage in range(3):
            if stage:
                name = f"cells.{len(self.cells)}"
                self.cells.append(pool(name, ResidualBlock, channels, 2 * channels))
                channels *= 2
            for _ in range(macro.cells):
                name = f"cells.{len(self.cells)}"
                self.cells.append(StackedCell201(name, channels, pool, routing, self.candidates))
        self.head = pool("head", head, channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (K n, num_classes) of ``images`` (n, channels, H, W)."""
        candidates = len(self.candidates)
        x = self.stem(self.fold(images))
        if self.candidates.edge_layers is not None:
            return self._run_levels(x)
        for cell in self.cells:
            if isinstance(cell, StackedCell201):
                x = cell(x.unflatten(0, (candidates, -1))).flatten(0, 1)
            else:
                x = cell(x)
        logits: Tensor = self.head(x)
        return logits

    def _run_levels(self, x: Tensor) -> Tensor:
        """Return the logits from the stem's output (K n, C, H, W), level by level."""
        levels = levels_of(self._edges, OUTPUT, x.device)
        x = self._samples_first(x)
        for cell in self.cells:
            if isinstance(cell, StackedCell201):
                x = cell.run_levels(levels, x)
            else:
                x = self._samples_first(cell(x.transpose(0, 1).flatten(0, 1)))
        logits: Tensor = self.head(x.transpose(0, 1).flatten(0, 1))
        return logits

    def _samples_first(self, x: Tensor) -> Tensor:
        first: Tensor = x.unflatten(0, (len(self.candidates), -1)).transpose(0, 1)
        return first.contiguous()


def _edges(operations: tuple[str, ...]) -> list[Edge]:
    """Return the edges of a cell without ``none``."""
    return [
        Edge(target, source, operation, 1, source)
        for (source, target), operation in zip(EDGES, operations, strict=True)
        if operation != "none"
    ]
