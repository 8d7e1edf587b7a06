"""What is a feature map: (n, C, H, W), and (n, C, L) in a network that convolves series."""

from __future__ import annotations

from torch import Tensor, nn


def map_dimensions(network: nn.Module) -> frozenset[int]:
    """Return how many dimensions the feature maps of ``network`` may have.

    Three where it has an ``nn.Conv1d``: elsewhere (n, positions, features) are tokens.
    """
    series = any(isinstance(module, nn.Conv1d) for module in network.modules())
    return frozenset({3, 4} if series else {4})


def as_images(maps: Tensor) -> Tensor:
    """Return maps of series (n, C, L) as images of one row, (n, C, 1, L); others as they are."""
    return maps[:, :, None] if maps.dim() == 3 else maps
