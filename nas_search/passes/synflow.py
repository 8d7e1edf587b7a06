"""The pass of synaptic flow: one image of ones through the network of absolute weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.passes.base import DeadNetwork, Subject, collects, weighted_layers


@dataclass(frozen=True)
class SynapticFlow:
    """What flows from an image of ones to the logits.

    Attributes:
        flows: sum |theta dR/dtheta| of each convolution and linear layer that is reached, with R
            the sum of the logits; float64, for it grows to 1e61.
    """

    flows: dict[str, float]


@collects(SynapticFlow)
def synflow(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Run a float64 copy with absolute parameters, its batch-norms replaced by identities.

    Raises:
        DeadNetwork: nothing flows.
    """
    network = copy.deepcopy(subject.network).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.forward = _identity  # type: ignore[assignment, method-assign]
    layers = weighted_layers(network)
    ones = torch.ones_like(subject.images[:1], dtype=torch.float64)
    with torch.enable_grad():
        total = network(ones).sum()
    if not total.requires_grad:
        raise DeadNetwork("no weight receives gradient")
    gradients = torch.autograd.grad(
        total, [layer.weight for layer in layers.values()], allow_unused=True
    )
    flows = {
        name: (layer.weight * gradient).abs().sum().item()
        for (name, layer), gradient in zip(layers.items(), gradients, strict=True)
        if gradient is not None
    }
    if not any(flows.values()):
        raise DeadNetwork("the logits do not depend on the image")
    return [SynapticFlow(flows)]


def _identity(x: Tensor) -> Tensor:
    return x
