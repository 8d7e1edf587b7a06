"""The pass of Zen-NAS: two forward passes of noise, a small step apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.gradients import normalised_network
from nas_search.passes.base import DeadNetwork, Subject, collects

BATCH = 16
STEP = 0.01


@dataclass(frozen=True)
class Perturbation:
    """How far feature maps move when the image does.

    Attributes:
        difference: mean over images of sum |f(x) - f(x + 0.01 e)|, with f the feature maps before
            global pooling and x, e standard normal.
        variances: of each batch-norm, the mean over channels of the variance that it sees at x.
    """

    difference: float
    variances: tuple[float, ...]


@collects(Perturbation)
def perturbation(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Forward sixteen images of noise and their neighbours, in true train mode.

    Raises:
        DeadNetwork: the feature maps do not change.
        InputError: the network has no global average pooling.
    """
    generator = torch.Generator().manual_seed(subject.seed)
    shape = (BATCH, *subject.images.shape[1:])
    x, step = (
        torch.randn(shape, generator=generator).to(subject.images).contiguous() for _ in range(2)
    )
    features: list[Tensor] = []
    variances: list[Tensor] = []

    def pooled(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features.append(inputs[0])

    def normalised(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not features:  # the first of the two forward passes
            variances.append(inputs[0].transpose(0, 1).flatten(1).var(1).mean())

    pools = [m for m in subject.network.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
    if not pools:
        raise InputError("the Zen-score needs an nn.AdaptiveAvgPool2d before the classifier")
    handles = [pools[-1].register_forward_pre_hook(pooled)] + [
        module.register_forward_pre_hook(normalised)
        for module in subject.network.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    try:
        with normalised_network(subject.network, "batch"), torch.no_grad():
            subject.network(x)
            subject.network(x + STEP * step)
    finally:
        for handle in handles:
            handle.remove()
    before, after = features
    difference = (before - after).abs().flatten(1).sum(1).mean().item()
    if not difference > 0:
        raise DeadNetwork("the feature maps do not depend on the image")
    return [Perturbation(difference, tuple(torch.stack(variances).tolist()) if variances else ())]
