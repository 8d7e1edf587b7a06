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

    def squares(self) -> dict[str, Tensor]:
        """Return sum_i ||g_i||^2, a float64 scalar, by parameter name."""
        return {name: gram.diagonal().double().sum() for name, gram in self._grams.items()}


class FactorSink:
    """Keeps the (n, n) Gram matrices of what each weight's gradient is made of."""

    def __init__(self) -> None:
        self._grams: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Reduce the factors of ``gradient``, where it has any, to their Gram matrices."""
        if gradient.factors is not None:
            self._grams[parameter] = gradient.factors.grams()

    @property
    def grams(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Gram matrices of inputs and errors, (n, n) each, by the weight's name."""
        return self._grams


class NormSink:
    """Keeps the samples' summed squared norm of every parameter's gradient."""

    def __init__(self) -> None:
        self._squares: dict[str, Tensor] = {}

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to sum_i ||g_i||^2."""
        self._squares[parameter] = gradient.matrix().square().sum().double()

    def squares(self) -> dict[str, Tensor]:
        """Return sum_i ||g_i||^2, a float64 scalar, by parameter name."""
        return self._squares


class SignSink:
    """Keeps how far the samples agree on the sign of each parameter's gradient."""

    def __init__(self) -> None:
        self._agreement: dict[str, Tensor] = {}

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to sum_k |sum_i sign(g_ik)|."""
        self._agreement[parameter] = gradient.matrix().sign().sum(0).abs().double().sum()

    @property
    def agreement(self) -> dict[str, Tensor]:
        """sum_k |sum_i sign(g_ik)|, a float64 scalar, by parameter name."""
        return self._agreement


class SumSink:
    """Keeps the sum over samples of each parameter's gradient: that of the summed loss."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, parameter: str, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to sum_i g_i."""
        self._sums[parameter] = gradient.matrix().sum(0)

    @property
    def sums(self) -> dict[str, Tensor]:
        """sum_i g_i, (P,), by parameter name."""
        return self._sums
