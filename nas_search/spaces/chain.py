"""Networks that are a row of cells between a stem and a head."""

from __future__ import annotations

from torch import Tensor, nn


class ChainNetwork(nn.Module):
    """Runs ``stem``, the ``cells`` one after another, and ``head``; a subclass makes them.

    Attributes:
        stem: from images (n, channels, H, W) to what the first cell takes.
        cells: each takes what the one before it gives.
        head: from what the last cell gives to logits (n, num_classes).
    """

    stem: nn.Module
    cells: nn.ModuleList
    head: nn.Module

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, num_classes) of ``images`` (n, channels, H, W)."""
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.head(x)
        return logits
