"""Where per-sample gradients go: each sink reduces them and keeps only the reduction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from nas_search.kernels.grams import joined, terms_side_by_side
from nas_search.layers.sample_gradient import SampleGradient
from nas_search.layers.side_by_side import Known, Owner
from nas_search.stacked.candidates import Members

Value = TypeVar("Value")


def _one(stacks: list[Tensor]) -> Tensor:
    return torch.cat(stacks) if len(stacks) > 1 else stacks[0]


class PerCandidate:
    """One tensor for every candidate and parameter, kept stacked as backward gives them.

    Args:
        join: makes one tensor of what :meth:`add_each` took.
    """

    def __init__(self, join: Callable[[list[Tensor]], Tensor] = _one) -> None:
        self._join = join
        self.owners: list[Owner] = []
        """Whose tensors there are, in the order of arrival."""
        self.places: list[int] = []
        """Of each owner, the row of :meth:`stacked` that is its tensor."""
        self._stacks: list[Tensor] = []
        self._size = 0

    def add(self, parameter: str, members: Members, values: Tensor) -> None:
        """Keep ``values`` (k, ...), one of each of the k ``members``."""
        self.add_each([(parameter, member) for member in members], values)

    def add_each(
        self, owners: Sequence[Owner], values: Tensor, places: Sequence[int] | None = None
    ) -> None:
        """Keep ``values`` (m, ...) of some ``owners``.

        Args:
            owners: whose they are.
            values: their tensors. Those that were given last are kept once.
            places: the row of each owner; None where there is one per owner, in order.
        """
        if not self._stacks or self._stacks[-1] is not values:
            self._stacks.append(values)
            self._size += len(values)
        begin = self._size - len(values)
        places = range(len(owners)) if places is None else places
        self.owners += owners
        self.places += [begin + place for place in places]

    def stacked(self) -> Tensor:
        """Return all tensors in one call, (m, ...); all must be of one shape."""
        if self._stacks:  # made once: what is read next finds it so
            self._stacks = [self._join(self._stacks)]
        return self._stacks[0] if self._stacks else torch.empty(0)

    def by_candidate(self, candidates: int) -> list[dict[str, Tensor]]:
        """Return each candidate's tensors by parameter name, in the order of arrival."""
        values = [value for stack in self._stacks for value in stack.unbind()]
        return self._each(candidates, values)

    def on_host(self, candidates: int) -> list[dict[str, float]]:
        """Return the same of scalars as numbers: one transfer for all of them."""
        return self.of_numbers(candidates, self.stacked().tolist())

    def of_numbers(self, candidates: int, numbers: Sequence[float]) -> list[dict[str, float]]:
        """Return the same of numbers (m,) that were made of :meth:`stacked` and transferred."""
        return self._each(candidates, numbers)

    def _each(self, candidates: int, values: Sequence[Value]) -> list[dict[str, Value]]:
        found: list[dict[str, Value]] = [{} for _ in range(candidates)]
        for (parameter, member), place in zip(self.owners, self.places, strict=True):
            found[member][parameter] = values[place]
        return found

    def sequences(self, candidates: int) -> list[tuple[float, ...]]:
        """Return each candidate's scalars in the order of arrival, whatever their names."""
        numbers: list[list[float]] = [[] for _ in range(candidates)]
        values = self.stacked().tolist()
        for (_, member), place in zip(self.owners, self.places, strict=True):
            numbers[member].append(values[place])
        return [tuple(own) for own in numbers]


SMALL = 2048
"""Columns of rows that wait for others of their shape, so that one call makes all Gram matrices."""


class GramSink:
    """Keeps one (n, n) Gram matrix a parameter that receives gradient, and drops the gradient."""

    def __init__(self) -> None:
        self._found = PerCandidate(joined)
        self._waiting: dict[torch.Size, list[tuple[Sequence[Owner], Tensor]]] = {}

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' Gram matrices."""
        self._found.add(parameter, members, gradient.grams(len(members)))

    def add_edges(
        self, owners: Sequence[Owner], rows: Tensor, inputs: Known, errors: Known
    ) -> None:
        """Reduce the gradients of many edges, (n, E, P), to their Gram matrices."""
        if rows.shape[2] > SMALL:
            self._found.add_each(owners, terms_side_by_side(rows))
        else:
            self._waiting.setdefault(rows.shape[2:], []).append((owners, rows))

    @property
    def found(self) -> PerCandidate:
        """The Gram matrices of every candidate and parameter."""
        for waiting in self._waiting.values():
            owners = [owner for own, _ in waiting for owner in own]
            rows = torch.cat([rows for _, rows in waiting], 1)
            self._found.add_each(owners, terms_side_by_side(rows))
        self._waiting.clear()
        self._found.stacked()
        return self._found

    @property
    def grams(self) -> dict[str, Tensor]:
        """An ordinary network's matrices by parameter name, in the order of backward."""
        return self.found.by_candidate(1)[0]

    @property
    def squares(self) -> PerCandidate:
        """sum_i ||g_i||^2, float64 scalars, of all in one call."""
        squares = PerCandidate()
        grams = self.found.stacked()
        if len(grams):
            diagonals = grams.diagonal(dim1=1, dim2=2)
            sums = diagonals.sum(1, dtype=torch.float64)
            squares.add_each(self.found.owners, sums, self.found.places)
        return squares


class FactorSink:
    """Keeps the Gram matrices of what each weight's gradient is made of.

    Attributes:
        inputs: those of what enters, (n, n), of every candidate and weight.
        errors: those of what comes back, of the same owners.
    """

    def __init__(self) -> None:
        self.inputs, self.errors = PerCandidate(joined), PerCandidate(joined)

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce the factors of ``gradient``, where it has any, to the members' matrices."""
        if gradient.factors is not None:
            inputs, errors = gradient.factors.grams(len(members))
            self.inputs.add(parameter, members, inputs)
            self.errors.add(parameter, members, errors)

    def add_edges(
        self, owners: Sequence[Owner], rows: Tensor, inputs: Known, errors: Known
    ) -> None:
        """Keep the terms of the Gram matrices of many edges' factors."""
        for found, (grams, places) in ((self.inputs, inputs), (self.errors, errors)):
            found.add_each(owners, grams(), places)

    @property
    def found(self) -> PerCandidate:
        """Those of inputs and errors together, (2, n, n)."""
        both = PerCandidate()
        if self.inputs.owners:
            pair = (own.stacked()[own.places] for own in (self.inputs, self.errors))
            both.add_each(self.inputs.owners, torch.stack(tuple(pair), 1))
        return both


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

    def add_edges(
        self, owners: Sequence[Owner], rows: Tensor, inputs: Known, errors: Known
    ) -> None:
        """Reduce the gradients of many edges, (n, E, P), to sums of ||g_i||^2."""
        self.squares.add_each(owners, rows.square().sum((0, 2)).double())


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
