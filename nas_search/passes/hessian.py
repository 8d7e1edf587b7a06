"""The pass of the Hessian: two forward and two backward passes over the batch's mean loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nas_search.gradients import PerCandidate, StackedParameters
from nas_search.passes.base import PASSES, Outcome, Pass, Subject, mean_losses
from nas_search.passes.dead import where_alive
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class HessianGradient:
    """The Hessian of the batch's mean loss times its gradient.

    Attributes:
        weights: weights of the layers that receive gradient, by the layer's name.
        products: H g of each.
    """

    weights: dict[str, Tensor]
    products: dict[str, Tensor]


def multiply_by_hessian(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate <g, stop(g)> once more: its gradient is H g.

    A candidate is dead if its logits are not finite or do not depend on the image.
    """
    network = subject.network
    candidates = len(candidates_of(network))
    own = StackedParameters(network)
    weights, products = PerCandidate(), PerCandidate()
    # The fused kernels of attention cannot be differentiated twice.
    with own.in_place(subject.normalization, subject.images), sdpa_kernel(SDPBackend.MATH):
        logits = network(subject.images)
        loss = mean_losses(logits, subject.labels, subject.loss).sum()
        gradients = own.gradients(loss, create_graph=True)
        inner = torch.zeros_like(loss)
        for gradient in gradients.values():
            inner = inner + (gradient * gradient.detach()).sum()
        second = own.gradients(inner)
    for use, product in second.items():
        name = use.parameter.removesuffix(".weight")
        weights.add(name, use.members, own.values[use].detach())
        products.add(name, use.members, product)
    results = [
        [HessianGradient(of_it, product)]
        for of_it, product in zip(
            weights.by_candidate(candidates), products.by_candidate(candidates), strict=True
        )
    ]
    return where_alive(logits.detach(), results)


PASSES.add(Pass(name="hessian", run=multiply_by_hessian, provides=(HessianGradient,)))
