"""Several TransNAS-Bench-101 cells in one network: they differ only in their edges."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nas_search.spaces.four_nodes import EDGES
from nas_search.spaces.transnas.cell import child, edge_sizes, operation
from nas_search.spaces.transnas.skeleton import Block, TransnasMacro, head, stem, stem_strides
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.network import Pool, StackedNetwork, apply_to_members, device_of
from nas_search.stacked.routing import Edge, Routing, Step, live_edges

OUTPUT = 3
"""The output node of the cell."""


class StackedTransnasCell(nn.Module):
    """A cell that runs each operation on the samples of the candidates that have it."""

    def __init__(
        self, name: str, block: Block, pool: Pool, routing: Routing, candidates: Candidates
    ) -> None:
        super().__init__()
        self._block, self._routing, self._candidates = block, routing, candidates
        for target in range(1, OUTPUT + 1):
            for step in routing.steps[target]:
                own = child(step.slot, target, step.operation)
                sizes = edge_sizes(block, step.slot)
                self.add_module(own, pool(f"{name}.{own}", operation, step.operation, *sizes))

    def forward(self, x: Tensor) -> Tensor:
        """Map (K, n, inputs, H, W) to (K, n, outputs, ...)."""
        shape = (*x.shape[:2], self._block.outputs, *self._block.after)
        return self._routing.run([x], [OUTPUT], self._run_step, lambda: x.new_zeros(shape))[0]

    def _run_step(self, node: int, step: Step, x: Tensor) -> Tensor:
        module = self.get_submodule(child(step.slot, node, step.operation))
        return apply_to_members(self._candidates, step.members, module, x)


class StackedTransnas(StackedNetwork):
    """See :class:`nas_search.stacked.network.StackedNetwork`."""

    def __init__(
        self,
        candidates: Sequence[Sequence[str]],
        blocks: Sequence[Block],
        macro: TransnasMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
        pool: Pool,
        include_dead_branches: bool,
    ) -> None:
        super().__init__(len(candidates))
        image_channels, height, width = input_shape
        strides, _ = stem_strides((height, width), macro.stem_halvings)
        self.stem = pool("stem", stem, image_channels, macro.channels, strides)
        edges = [_edges(operations) for operations in candidates]
        if not include_dead_branches:
            edges = [live_edges(cell, [OUTPUT]) for cell in edges]
        routing = Routing(edges, device_of(self.stem))
        self.cells = nn.ModuleList(
            StackedTransnasCell(f"cells.{number}", block, pool, routing, self.candidates)
            for number, block in enumerate(blocks)
        )
        self.head = pool("head", head, blocks[-1].outputs, num_classes, macro.last_relu)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (K n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(self.fold(images)).unflatten(0, (len(self.candidates), -1))
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.head(x.flatten(0, 1))
        return logits


def _edges(operations: Sequence[str]) -> list[Edge]:
    """Return the edges of a cell without ``none``."""
    return [
        Edge(target, source, name, 1, source)
        for (source, target), name in zip(EDGES, operations, strict=True)
        if name != "none"
    ]
