"""The pass of two batches: an ordinary backward pass for each half of the probe batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import OwnParameters, Reductions
from nas_search.passes.base import Outcome, Subject, collects_of_all
from nas_search.passes.logits import mean_losses, where_alive
from nas_search.spaces.rows import rows_of


@dataclass(frozen=True)
class HalfGradients:
    """Gradients of the mean loss of two batches.

    Attributes:
        gradients: (2, P) float64 of the weight of each layer that receives gradient, by its name.
    """

    gradients: dict[str, Tensor]


@collects_of_all(HalfGradients)
def halves_of_all(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate the loss of the first and of the second half, each a batch of its own.

    A candidate is dead whose logits are not finite or do not depend on the image.
    """
    network = subject.network
    candidates = len(rows_of(network).everyone)
    middle = len(subject.images) // 2
    batches: list[Reductions] = []
    logits: list[Tensor] = []
    for half in (slice(0, middle), slice(middle, None)):
        own, found = OwnParameters(network), Reductions()
        with own.in_place(subject.normalisation):
            logits.append(network(subject.images[half]))
            gradients = own.gradients(mean_losses(logits[-1], subject.labels[half]).sum())
        for use, gradient in gradients.items():
            found.add(use.parameter.removesuffix(".weight"), use.members, gradient)
        batches.append(found)
    results = [
        [HalfGradients({name: _pair(first[name], second[name]) for name in first})]
        for first, second in zip(*(b.by_candidate(candidates) for b in batches), strict=True)
    ]
    return where_alive(logits[1].detach(), where_alive(logits[0].detach(), results))


def _pair(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack([first.flatten(), second.flatten()]).double()
