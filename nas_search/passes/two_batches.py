"""The pass of two batches: an ordinary backward pass per half of the probe batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nas_search.gradients import PerCandidate, StackedParameters
from nas_search.passes.base import (
    PASSES,
    DeadNetwork,
    Outcome,
    Pass,
    Subject,
    mean_losses,
)
from nas_search.passes.dead import beyond_rounding, where_alive
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class TwoBatchGradients:
    """Gradients of the mean loss of two batches.

    Attributes:
        gradients: (2, P) float64 of the weight of each layer whose gradient is more than rounding,
            by its name.
    """

    gradients: dict[str, Tensor]


def differentiate_two_batches(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate the loss of the first and of the second half, each a batch of its own.

    A candidate is dead if its logits are not finite or do not depend on the image, or none of its
    weights receives gradient.
    """
    middle = len(subject.images) // 2
    first = _half(subject, slice(0, middle))
    second = _half(subject, slice(middle, None))
    eps = torch.finfo(first.logits.dtype).eps
    results = [_outcome(*own, eps) for own in zip(first.candidates, second.candidates, strict=True)]
    return where_alive(second.logits, where_alive(first.logits, results))


Gradients = tuple[dict[str, Tensor], dict[str, float]]
"""Of one candidate: each weight's gradient, (P,) float64, and its squared norm."""


class _Half(NamedTuple):
    """What one half gives: logits (K n / 2, classes), and the gradients of each candidate."""

    logits: Tensor
    candidates: list[Gradients]


def _half(subject: Subject, half: slice) -> _Half:
    """Run and differentiate the mean loss of some of the images."""
    network = subject.network
    candidates = len(candidates_of(network))
    own, found, squares = StackedParameters(network), PerCandidate(), PerCandidate()
    images = subject.images[half]
    with own.in_place(subject.normalization, images):
        logits = network(images)
        loss = mean_losses(logits, subject.labels[half], subject.loss).sum()
        gradients = own.gradients(loss)
    for use, gradient in gradients.items():
        rows = gradient.flatten(1).double()
        found.add(*use, rows)
        squares.add(*use, rows.square().sum(1))
    by_candidate = zip(found.by_candidate(candidates), squares.on_host(candidates), strict=True)
    return _Half(logits.detach(), list(by_candidate))


def _outcome(first: Gradients, second: Gradients, eps: float) -> Outcome:
    """Return the gradients of both halves, of the weights where they are more than rounding."""
    squares = {name: square + second[1][name] for name, square in first[1].items()}
    try:
        alive = beyond_rounding(squares, squares, eps)
    except DeadNetwork as dead:
        return dead
    pairs = {name.removesuffix(".weight"): (first[0][name], second[0][name]) for name in alive}
    return [TwoBatchGradients({name: torch.stack(pair) for name, pair in pairs.items()})]


PASSES.add(Pass(name="two_batches", run=differentiate_two_batches, provides=(TwoBatchGradients,)))
