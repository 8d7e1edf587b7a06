"""The pass of two batches: an ordinary backward pass for each half of the probe batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.gradients import normalised_network
from nas_search.passes.base import Subject, collects, weighted_layers
from nas_search.passes.logits import check_logits


@dataclass(frozen=True)
class HalfGradients:
    """Gradients of the mean loss of two batches.

    Attributes:
        gradients: (2, P) float64 of the weight of each layer that receives gradient, by its name.
    """

    gradients: dict[str, Tensor]


@collects(HalfGradients)
def halves(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Differentiate the loss of the first and of the second half, each a batch of its own.

    Raises:
        DeadNetwork: the logits are not finite or do not depend on the image.
    """
    layers = weighted_layers(subject.network)
    rows: dict[str, list[Tensor]] = {}
    middle = len(subject.images) // 2
    for half in (slice(0, middle), slice(middle, None)):
        with normalised_network(subject.network, subject.normalisation), torch.enable_grad():
            logits = subject.network(subject.images[half])
            check_logits(logits.detach())
            loss = F.cross_entropy(logits, subject.labels[half])
            weights = [layer.weight for layer in layers.values()]
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for name, gradient in zip(layers, gradients, strict=True):
            if gradient is not None:
                rows.setdefault(name, []).append(gradient.flatten().double())
    return [HalfGradients({name: torch.stack(pair) for name, pair in rows.items()})]
