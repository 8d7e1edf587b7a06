"""The pass of the Hessian: two forward and two backward passes over the batch's mean loss."""

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
class HessianGradient:
    """The Hessian of the batch's mean loss times its gradient.

    Attributes:
        weights: weights of the layers that receive gradient, by the layer's name.
        products: H g of each.
    """

    weights: dict[str, Tensor]
    products: dict[str, Tensor]


@collects(HessianGradient)
def hessian(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Differentiate <g, stop(g)> once more: its gradient is H g.

    Raises:
        DeadNetwork: the logits are not finite or do not depend on the image.
    """
    layers = weighted_layers(subject.network)
    parameters = [layer.weight for layer in layers.values()]
    with normalised_network(subject.network, subject.normalisation), torch.enable_grad():
        logits = subject.network(subject.images)
        check_logits(logits.detach())
        loss = F.cross_entropy(logits, subject.labels)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        inner = torch.stack([(g * g.detach()).sum() for g in gradients if g is not None]).sum()
        products = torch.autograd.grad(inner, parameters, allow_unused=True)
    reached = {
        name: (layer.weight.detach(), product)
        for (name, layer), product in zip(layers.items(), products, strict=True)
        if product is not None
    }
    return [
        HessianGradient(
            {name: weight for name, (weight, _) in reached.items()},
            {name: product for name, (_, product) in reached.items()},
        )
    ]
