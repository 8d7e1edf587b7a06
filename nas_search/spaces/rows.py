"""Whose samples the rows of a batch are, in a network that runs several candidates at once."""

from __future__ import annotations

from torch import Tensor, nn

Members = tuple[int, ...]
"""Numbers of candidates, each once; n rows of the batch belong to each, in this order."""


class Rows:
    """What a population network says, while it runs, of the batch that a layer is about to see.

    A layer of a population network sees the samples of all candidates that have it, folded into the
    batch dimension: (k n, C, H, W) for k candidates and n samples each.

    Args:
        candidates: number K of candidates, 1 or more.

    Attributes:
        everyone: all candidates in order, (0, ..., K - 1).
        members: the k candidates whose samples the rows at hand are.
    """

    def __init__(self, candidates: int) -> None:
        self.everyone: Members = tuple(range(candidates))
        self.members: Members = self.everyone


def rows_of(network: nn.Module) -> Rows:
    """Return the rows of a population network; an ordinary network runs one candidate, number 0."""
    rows = getattr(network, "rows", None)
    return rows if isinstance(rows, Rows) else Rows(1)


def side_by_side(x: Tensor, candidates: int) -> Tensor:
    """Put candidates side by side in the channels: (k n, C, ...) to (n, k C, ...)."""
    if candidates == 1:
        return x
    return x.unflatten(0, (candidates, -1)).transpose(0, 1).flatten(1, 2)


def one_after_another(x: Tensor, candidates: int) -> Tensor:
    """Undo :func:`side_by_side`: (n, k C, ...) to (k n, C, ...)."""
    if candidates == 1:
        return x
    return x.unflatten(1, (candidates, -1)).transpose(0, 1).flatten(0, 1)
