"""The pass of channel correlations: one forward pass of one image of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import PerCandidate, normalized_network
from nas_search.kernels.eigenvalues import eigenvalues
from nas_search.passes.base import PASSES, Outcome, Pass, Subject
from nas_search.passes.hooks import hooked
from nas_search.passes.maps import map_dimensions
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class ChannelCorrelations:
    """How the channels of each module's output are correlated over the pixels.

    Attributes:
        smallest: smallest eigenvalue of the (C, C) Pearson correlations of each call of a module
            without children that gives a feature map; a channel that is constant correlates with
            none, not even itself.
    """

    smallest: tuple[float, ...]


def correlate_channels(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward one standard normal image of the probe batch's shape.

    Raises:
        InputError: the network takes tokens, or none of its modules gives a feature map.
    """
    if not subject.images.is_floating_point():
        raise InputError("this score looks at an image of noise, and the network takes tokens")
    candidates = candidates_of(subject.network)
    generator = torch.Generator().manual_seed(subject.seed)
    image = torch.randn(1, *subject.images.shape[1:], generator=generator).to(subject.images)
    smallest, maps = PerCandidate(), map_dimensions(subject.network)

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(output, Tensor) and output.dim() in maps:
            values = output.flatten(2).double()
            centered = values - values.mean(2, keepdim=True)
            norms = centered.norm(dim=2, keepdim=True)
            units = torch.where(norms > 0, centered / norms, 0.0)
            values = eigenvalues(units @ units.mT)[:, 0]
            smallest.add("eigenvalue", candidates.active, values)

    leaves = [m for m in subject.network.modules() if next(m.children(), None) is None]
    hooks = hooked(leaf.register_forward_hook(look) for leaf in leaves)
    with hooks, normalized_network(subject.network, subject.normalization), torch.no_grad():
        subject.network(image)
    found = smallest.sequences(len(candidates))
    if not any(found):
        name = type(subject.network).__name__
        raise InputError(f"no module of {name} gives a feature map (n, C, H, W) or (n, C, L)")
    return [[ChannelCorrelations(own)] for own in found]


PASSES.add(
    Pass(
        name="channels",
        run=correlate_channels,
        provides=(ChannelCorrelations,),
        network="complete",
    )
)
