"""Which candidate each row of a stacked batch belongs to."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

Members = tuple[int, ...]
"""Numbers of candidates, each once, in the order of the rows; each has n rows of the batch."""


class Candidates:
    """The candidates whose samples the current layer of a running stacked network processes.

    A layer of a stacked network processes the samples of all candidates that have it, folded into
    the batch dimension: (k n, C, H, W) for k candidates and n samples each.

    Args:
        candidates: number K of candidates, 1 or more.

    Attributes:
        all: all candidates in order, (0, ..., K - 1).
        active: the k candidates whose samples the current layer processes.
        edge_layers: while a network runs level by level, its layers of many edges
            (:class:`nas_search.layers.side_by_side.EdgeLayers`); else None.
    """

    def __init__(self, candidates: int) -> None:
        self.all: Members = tuple(range(candidates))
        self.active: Members = self.all
        self.edge_layers: Any = None

    def __len__(self) -> int:
        return len(self.all)


def candidates_of(network: nn.Module) -> Candidates:
    """Return the candidates of a stacked network; an ordinary network has one, number 0."""
    candidates = getattr(network, "candidates", None)
    return candidates if isinstance(candidates, Candidates) else Candidates(1)


def side_by_side(x: Tensor, candidates: int) -> Tensor:
    """Put candidates side by side in the channels: (k n, C, ...) to (n, k C, ...)."""
    if candidates == 1:
        return x
    samples_first: Tensor = x.unflatten(0, (candidates, -1)).transpose(0, 1)
    return samples_first.flatten(1, 2)


def one_after_another(x: Tensor, candidates: int) -> Tensor:
    """Undo :func:`side_by_side`: (n, k C, ...) to (k n, C, ...)."""
    if candidates == 1:
        return x
    candidates_first: Tensor = x.unflatten(1, (candidates, -1)).transpose(0, 1)
    return candidates_first.flatten(0, 1)
