"""Sizes of the networks: those of a genotype, times a factor."""

from __future__ import annotations

from dataclasses import dataclass

from nas_search.core.errors import InputError

SMALLEST_IMAGE = 5
"""Smallest side in pixels: two halvings leave 2x2, so that batch-norm has a variance."""


@dataclass(frozen=True)
class NdsMacro:
    """Factors of a genotype's own sizes; 1 is the published network.

    Attributes:
        width_factor: of all channels, more than 0.
        depth_factor: of the numbers of cells or blocks, more than 0.
    """

    width_factor: float = 1.0
    depth_factor: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value <= 64:
                raise InputError(f"{name} must be more than 0, at most 64, got {value}")

    def wide(self, channels: float) -> int:
        """Return a number of channels, 1 or more."""
        return max(1, round(self.width_factor * channels))

    def deep(self, count: int, least: int) -> int:
        """Return a number of cells or blocks."""
        return max(least, round(self.depth_factor * count))
