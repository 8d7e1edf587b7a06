"""From the sinks of one backward pass to the results of each candidate, in calls for all of them.

What one candidate asks of its layers, a stack asks of all layers of all candidates: their matrices
lie in one tensor, and every candidate's are a part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from nas_search.gradients import PerCandidate
from nas_search.kernels.eigenvalues import eigenvalues
from nas_search.passes.base import DeadNetwork, Missing, Outcome
from nas_search.passes.dead import beyond_rounding, faults_of, logits_flags
from nas_search.passes.sample_statistics import (
    BatchGradient,
    ChannelFisher,
    Grams,
    LayerFactors,
    Signs,
    normalized,
)

Alive = tuple[str, ...] | DeadNetwork
"""Names of the weights of one candidate whose gradient is more than rounding, or why it is dead."""


def alive_weights(
    logits: Tensor, names: Iterable[str], squares: PerCandidate, candidates: int
) -> list[Alive]:
    """Return which weights of each candidate receive gradient, in one transfer from the device.

    Args:
        logits: (K n, ...) of K candidates.
        names: of the parameters, in the network's order.
        squares: float64 scalars, the squared norms of the gradients.
        candidates: their number K.
    """
    flags = logits_flags(logits.unflatten(0, (candidates, -1)))
    numbers = torch.cat(
        [flags.flatten().double(), squares.stacked().to(flags.device, torch.float64)]
    ).tolist()
    count = 2 * candidates
    faults = faults_of(zip(numbers[:count:2], numbers[1:count:2], strict=True))
    by_candidate = squares.of_numbers(candidates, numbers[count:])
    eps = torch.finfo(logits.dtype).eps
    found: list[Alive] = []
    for fault, own in zip(faults, by_candidate, strict=True):
        try:
            found.append(DeadNetwork(fault) if fault else beyond_rounding(names, own, eps))
        except DeadNetwork as dead:
            found.append(dead)
    return found


class Results:
    """The results of all candidates of a stack.

    Args:
        weights: the network's parameters by name.
        labels: (n,) classes of the samples.
        alive: of each candidate.
        found: what the sinks found, by the kind of results that it belongs to.
        factors: Gram matrices of what entered and of what came back to the layers.
    """

    def __init__(
        self,
        weights: dict[str, Tensor],
        labels: Tensor,
        alive: Sequence[Alive],
        found: Mapping[type, PerCandidate],
        factors: tuple[PerCandidate, PerCandidate],
    ) -> None:
        self._weights, self._labels, self._alive = weights, labels, alive
        self._found, self._factors = found, factors
        self._orders: dict[object, Tensor] = {}

    def of_each(self, wanted: frozenset[type], complete: bool) -> list[Outcome]:
        """Return one result of each ``wanted`` kind of each candidate, or that it is dead.

        Args:
            wanted: the kinds.
            complete: whether factors count for nothing where those of a weight are unknown.
        """
        makers = {
            Grams: self._grams,
            LayerFactors: lambda: self._layer_factors(complete),
            Signs: self._signs,
            BatchGradient: self._batch_gradients,
            ChannelFisher: self._channel_fisher,
        }
        by_kind = [make() for kind, make in makers.items() if kind in wanted]
        return [
            alive if isinstance(alive, DeadNetwork) else [of_all[number] for of_all in by_kind]
            for number, alive in enumerate(self._alive)
        ]

    def _names(self) -> list[tuple[str, ...]]:
        return [() if isinstance(alive, DeadNetwork) else alive for alive in self._alive]

    def _grams(self) -> list[object]:
        names = self._names()
        return [
            Grams(own, grams)
            for own, grams in zip(names, self._in_order(self._found[Grams], names), strict=True)
        ]

    def _layer_factors(self, complete: bool) -> list[object]:
        inputs, errors = self._factors
        known = set(inputs.owners)
        names = [
            tuple(name for name in own if (name, number) in known)
            for number, own in enumerate(self._names())
        ]
        count = sum(map(len, names))
        both = [self._ordered(found, names) for found in (inputs, errors)]
        cosines = normalized(torch.cat(both)) if count else torch.empty(0, 0, 0)
        try:  # one call of the library for all factors of all candidates
            values: Tensor | None = eigenvalues(cosines)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # public, not so marked
            values = None  # each computes its own when it is asked: only its own fails
        lengths = [len(own) for own in names]
        parts = [cosines[:count].split(lengths), cosines[count:].split(lengths)]
        if values is not None:
            parts += [values[:count].split(lengths), values[count:].split(lengths)]
        sizes = self._sizes(names, torch.float64).split(lengths)
        found: list[object] = []
        for number, (own, alive, size) in enumerate(zip(names, self._names(), sizes, strict=True)):
            missing = self._missing(own, alive if complete else own)
            if missing is not None:
                found.append(missing)
                continue
            one = LayerFactors(own, parts[0][number], parts[1][number], size, self._labels)
            if values is not None:
                vars(one).update(
                    input_eigenvalues=parts[2][number], error_eigenvalues=parts[3][number]
                )
            found.append(one)
        return found

    def _missing(self, known: tuple[str, ...], alive: tuple[str, ...]) -> Missing | None:
        """Return why there are no factors; None where there are."""
        if alive and not known:  # weights have gradients, but none that a layer of the book found
            reason = "what enters and leaves its layers is unknown: no layer rule was used"
        else:
            without = next((name for name in alive if name not in known), None)
            if without is None:
                return None
            reason = f"what enters and leaves the layer of '{without}' is unknown"
        return Missing(LayerFactors, ValueError(reason))

    def _signs(self) -> list[object]:
        names = self._names()
        sizes = self._sizes(names, torch.float64).split([len(own) for own in names])
        agreements = self._in_order(self._found[Signs], names)
        return [Signs(*both) for both in zip(agreements, sizes, strict=True)]

    def _batch_gradients(self) -> list[object]:
        by_candidate = self._found[BatchGradient].by_candidate(len(self._alive))
        found: list[object] = []
        for names, of_one in zip(self._names(), by_candidate, strict=True):
            own = {name: self._weights[name].detach() for name in names}
            gradients = {
                name: of_one[name].view_as(weight) / len(self._labels)
                for name, weight in own.items()
            }
            found.append(BatchGradient(own, gradients))
        return found

    def _channel_fisher(self) -> list[object]:
        found: list[object] = []
        for layers in self._found[ChannelFisher].by_candidate(len(self._alive)):
            fan_in = tuple(self._weights[f"{name}.weight"][0].numel() for name in layers)
            found.append(ChannelFisher(tuple(layers.values()), fan_in))
        return found

    def _in_order(self, found: PerCandidate, names: list[tuple[str, ...]]) -> Sequence[Tensor]:
        """Return each candidate's tensors of its ``names``, in their order, float64."""
        parts: tuple[Tensor, ...] = self._ordered(found, names).split([len(n) for n in names])
        return parts

    def _ordered(self, found: PerCandidate, names: list[tuple[str, ...]]) -> Tensor:
        """Return the same of all candidates in one tensor."""
        key = tuple(found.owners), tuple(found.places), tuple(names)
        if key not in self._orders:
            wanted = [(name, number) for number, own in enumerate(names) for name in own]
            place = dict(zip(found.owners, found.places, strict=True))
            index = torch.tensor([place[owner] for owner in wanted], dtype=torch.long)
            self._orders[key] = index.to(self._labels.device)
        return found.stacked().index_select(0, self._orders[key]).double()

    def _sizes(self, names: Iterable[Iterable[str]], dtype: torch.dtype) -> Tensor:
        """Return the numbers of elements of all ``names``, candidate after candidate."""
        sizes = [self._weights[name].numel() for name in chain.from_iterable(names)]
        return torch.tensor(sizes, dtype=dtype).to(self._labels.device)
