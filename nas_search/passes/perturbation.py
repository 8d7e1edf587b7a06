"""The pass of Zen-NAS: two forward passes of noise, a small step apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import PerCandidate, normalized_network
from nas_search.passes.base import PASSES, DeadNetwork, Outcome, Pass, Subject
from nas_search.passes.hooks import hooked
from nas_search.stacked.candidates import candidates_of

BATCH = 16
STEP = 0.01
_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


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


def perturb_images(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward sixteen images of noise and their neighbors, in true train mode.

    A candidate is dead if its feature maps do not change.

    Raises:
        InputError: the network has no global average pooling.
    """
    network, candidates = subject.network, candidates_of(subject.network)
    generator = torch.Generator().manual_seed(subject.seed)
    shape = (BATCH, *subject.images.shape[1:])
    x, step = (
        torch.randn(shape, generator=generator).to(subject.images).contiguous() for _ in range(2)
    )
    features: list[Tensor] = []
    variances = PerCandidate()

    def pooled(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features.append(inputs[0])

    def normalized(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not features and inputs[0].dim() > 2:  # the first of the two passes, a feature map
            own = inputs[0].unflatten(0, (len(candidates.active), -1))
            values = own.transpose(1, 2).flatten(2).var(2).mean(1)
            variances.add("variance", candidates.active, values)

    pools = [m for m in network.modules() if isinstance(m, _POOLS)]
    if not pools:
        raise InputError("the Zen-score needs an nn.AdaptiveAvgPool2d before the classifier")
    norms = [module for module in network.modules() if isinstance(module, _NORMS)]
    looking = [(pools[-1], pooled), *((norm, normalized) for norm in norms)]
    hooks = hooked(module.register_forward_pre_hook(hook) for module, hook in looking)
    with hooks, normalized_network(network, "batch"), torch.no_grad():
        network(x)
        network(x + STEP * step)
    before, after = features
    moved = (before - after).abs().flatten(1).sum(1)
    means = moved.unflatten(0, (len(candidates), -1)).mean(1).tolist()
    dead = DeadNetwork("the feature maps do not depend on the image")
    return [
        [Perturbation(difference, own)] if difference > 0 else dead
        for difference, own in zip(means, variances.sequences(len(candidates)), strict=True)
    ]


PASSES.add(
    Pass(
        name="perturbation",
        run=perturb_images,
        provides=(Perturbation,),
        network="complete",
    )
)
