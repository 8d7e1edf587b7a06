"""Where per-sample gradients go: each sink reduces them and keeps only the reduction."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_search.layers.sample_gradient import SampleGradient
from nas_search.stacked.candidates import Members


class PerCandidate:
    """One tensor for every candidate and parameter, kept stacked as backward gives them."""

    def __init__(self) -> None:
        self._stacks: list[tuple[str, Members, Tensor]] = []

    def add(self, parameter: str, members: Members, values: Tensor) -> None:
        """Keep ``values`` (k, ...), one of each of the k ``members``."""
        self._stacks.append((parameter, members, values))

    def by_candidate(self, candidates: int) -> list[dict[str, Tensor]]:
        """Return each candidate's tensors by parameter name, in the order of arrival."""
        found: list[dict[str, Tensor]] = [{} for _ in range(candidates)]
        for parameter, members, values in self._stacks:
            for member, value in zip(members, values.unbind(), strict=True):
                found[member][parameter] = value
        return found

    def on_host(self, candidates: int) -> list[dict[str, float]]:
        """Return the same of scalars as numbers: one transfer for all of them."""
        numbers: list[float] = []
        if self._stacks:
            numbers = torch.cat([values for _, _, values in self._stacks]).tolist()
        found: list[dict[str, float]] = [{} for _ in range(candidates)]
        place = 0
        for parameter, members, _ in self._stacks:
            for member in members:
                found[member][parameter] = numbers[place]
                place += 1
        return found

    def sequences(self, candidates: int) -> list[tuple[float, ...]]:
        """Return each candidate's scalars in the order of arrival, whatever their names."""
        numbers: list[list[float]] = [[] for _ in range(candidates)]
        if self._stacks:
            members = (member for _, some, _ in self._stacks for member in some)
            values = torch.cat([values for _, _, values in self._stacks]).tolist()
            for member, value in zip(members, values, strict=True):
                numbers[member].append(value)
        return [tuple(own) for own in numbers]


class GramSink:
    """Keeps one (n, n) Gram matrix a parameter that receives gradient, and drops the gradient.

    Attributes:
        found: the Gram matrices of every candidate and parameter.
    """

    def __init__(self) -> None:
        self.found = PerCandidate()
        self._squares = PerCandidate()

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' Gram matrices."""
        grams = gradient.grams(len(members))
        self.found.add(parameter, members, grams)
        self._squares.add(parameter, members, grams.diagonal(dim1=1, dim2=2).double().sum(1))

    @property
    def grams(self) -> dict[str, Tensor]:
        """An ordinary network's matrices by parameter name, in the order of backward."""
        return self.found.by_candidate(1)[0]

    @property
    def squares(self) -> PerCandidate:
        """sum_i ||g_i||^2, float64 scalars."""
        return self._squares


class FactorSink:
    """Keeps the Gram matrices of what each weight's gradient is made of.

    Attributes:
        found: those of inputs and errors, (2, n, n), of every candidate and weight.
    """

    def __init__(self) -> None:
        self.found = PerCandidate()

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce the factors of ``gradient``, where it has any, to the members' matrices."""
        if gradient.factors is not None:
            grams = gradient.factors.grams(len(members))
            self.found.add(parameter, members, torch.stack(grams, 1))


class NormSink:
    """Keeps the samples' summed squared norm of every parameter's gradient.

    Attributes:
        squares: sum_i ||g_i||^2, a float64 scalar for every candidate and parameter.
    """

    def __init__(self) -> None:
        self.squares = PerCandidate()

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' sums of ||g_i||^2."""
        squares = gradient.square_sums(len(members))
        self.squares.add(parameter, members, squares.double())


class SignSink:
    """Keeps how far the samples agree on the sign of each parameter's gradient.

    Attributes:
        found: sum_k |sum_i sign(g_ik)|, a float64 scalar for every candidate and parameter.
    """

    def __init__(self) -> None:
        self.found = PerCandidate()

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' sum_k |sum_i sign(g_ik)|."""
        own = gradient.matrix().unflatten(0, (len(members), -1))
        self.found.add(parameter, members, own.sign().sum(1).abs().double().sum(1))


class SumSink:
    """Keeps the sum over samples of each parameter's gradient: that of the summed loss.

    Attributes:
        found: sum_i g_i, (P,), for every candidate and parameter.
    """

    def __init__(self) -> None:
        self.found = PerCandidate()

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' sum_i g_i."""
        self.found.add(parameter, members, gradient.sums(len(members)))


class WeightedSumSink:
    """Keeps a weighted sum over samples of each parameter's gradient.

    Args:
        weights: (n,) float64.

    Attributes:
        found: sum_i w_i g_i, (P,), for every candidate and parameter.
    """

    def __init__(self, weights: Tensor) -> None:
        self.found = PerCandidate()
        self._weights = weights

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' sum_i w_i g_i."""
        self.found.add(parameter, members, gradient.sums(len(members), self._weights))
