"""The network of two cells: DARTS's for CIFAR, with cells of any number of nodes."""

from __future__ import annotations

from torch import Tensor, nn

from nas_search.spaces.darts.genotype import Cell
from nas_search.spaces.darts.network import DartsCell, DartsMacro, head, plan_cells, stem
from nas_search.spaces.nds.operations import operation


class NdsCellNetwork(nn.Module):
    """Images (n, channels, H, W) to logits (n, num_classes)."""

    def __init__(
        self,
        normal: Cell,
        reduce: Cell,
        depth: int,
        width: int,
        image_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        plans = plan_cells(DartsMacro(depth, width), len(normal[1]), len(reduce[1]))
        self.stem = stem(image_channels, width)
        self.cells = nn.ModuleList(
            DartsCell(*(reduce if plan.reduction else normal), plan, operation) for plan in plans
        )
        last = plans[-1]
        outputs = last.channels * len((reduce if last.reduction else normal)[1])
        self.head = head(outputs, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of ``images`` (n, channels, H, W)."""
        first = second = self.stem(images)
        for cell in self.cells:
            first, second = second, cell(first, second)
        logits: Tensor = self.head(second)
        return logits
