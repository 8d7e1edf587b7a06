"""Where per-sample gradients go: each sink reduces them and keeps only the reduction."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from nas_search.gradients.gradient import SampleGradient


class Sink(Protocol):
    """Receives the per-sample gradient of one parameter after another during a backward pass."""

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Take the gradient of ``parameter`` (its name in the network); called once a parameter."""
        ...


class GramSink:
    """Keeps one (n, n) Gram matrix a parameter that receives gradient, and drops the gradient."""

    def __init__(self) -> None:
        self._grams: dict[str, Tensor] = {}

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to its Gram matrix."""
        self._grams[parameter] = gradient.gram()

    @property
    def grams(self) -> dict[str, Tensor]:
        """Gram matrices (n, n) by parameter name, in the order in which backward reached them."""
        return self._grams
