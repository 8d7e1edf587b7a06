"""The pass of channel correlations: one forward pass of one image of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.gradients import normalised_network
from nas_search.passes.base import Subject, collects


@dataclass(frozen=True)
class ChannelCorrelations:
    """How the channels of each module's output are correlated over the pixels.

    Attributes:
        smallest: smallest eigenvalue of the (C, C) Pearson correlations of each call of a module
            without children that gives a feature map; a channel that is constant correlates with
            none, not even itself.
    """

    smallest: tuple[float, ...]


@collects(ChannelCorrelations)
def channels(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Forward one standard normal image of the probe batch's shape."""
    generator = torch.Generator().manual_seed(subject.seed)
    image = torch.randn(1, *subject.images.shape[1:], generator=generator).to(subject.images)
    smallest: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.dim() == 4:
            rows = output[0].flatten(1).double()
            centred = rows - rows.mean(1, keepdim=True)
            norms = centred.norm(dim=1, keepdim=True)
            units = torch.where(norms > 0, centred / norms, 0.0)
            smallest.append(torch.linalg.eigvalsh(units @ units.T)[0])

    leaves = [m for m in subject.network.modules() if next(m.children(), None) is None]
    handles = [leaf.register_forward_hook(look) for leaf in leaves]
    try:
        with normalised_network(subject.network, subject.normalisation), torch.no_grad():
            subject.network(image)
    finally:
        for handle in handles:
            handle.remove()
    return [ChannelCorrelations(tuple(torch.stack(smallest).tolist()) if smallest else ())]
