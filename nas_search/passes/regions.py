"""The pass of linear regions: a thin network forwards thousands of tiny crops of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.gradients import normalised_network
from nas_search.passes.base import Subject, collects

SAMPLES = 3000
BATCH = 1000
THIN_IMAGE = (1, 5, 5)
"""Channels and sides of a crop: the smallest image that the spaces' skeletons take."""


@dataclass(frozen=True)
class LinearRegions:
    """How many linear pieces of a thin network the crops fall into.

    Attributes:
        distinct: number of distinct on/off patterns of all ReLUs, at most ``samples``.
        samples: number of crops.
    """

    distinct: int
    samples: int


@collects(LinearRegions)
def regions(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Forward 3,000 random crops of one channel in batches of 1,000, in true train mode.

    Raises:
        InputError: there is no thin network, or the images are smaller than a crop.
    """
    if subject.thin is None:
        raise InputError("linear regions are counted on a thin network: none was given")
    return [LinearRegions(distinct_patterns(subject.thin(), _crops(subject)), SAMPLES)]


def distinct_patterns(network: nn.Module, images: Tensor) -> int:
    """Return how many on/off patterns of all ReLUs of feature maps ``images`` (n, C, H, W) show.

    They are forwarded in batches of 1,000, in true train mode.
    """
    patterns: list[list[Tensor]] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.dim() == 4:
            patterns[-1].append(output.flatten(1) > 0)

    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    handles = [relu.register_forward_hook(look) for relu in relus]
    try:
        with normalised_network(network, "batch"), torch.no_grad():
            for batch in images.split(BATCH):
                patterns.append([])
                network(batch)
    finally:
        for handle in handles:
            handle.remove()
    rows = [torch.cat(batch, 1) for batch in patterns if batch]
    return torch.cat(rows).unique(dim=0).shape[0] if rows else 1


def _crops(subject: Subject) -> Tensor:
    n, channels, height, width = subject.images.shape
    _, tall, wide = THIN_IMAGE
    if height < tall or width < wide:
        raise InputError(f"linear regions need images of {tall} x {wide} pixels or more")
    generator = torch.Generator().manual_seed(subject.seed)

    def draw(end: int) -> Tensor:
        return torch.randint(0, end, (SAMPLES, 1, 1), generator=generator)

    image, channel = draw(n), draw(channels)
    rows = draw(height - tall + 1) + torch.arange(tall)[:, None]
    columns = draw(width - wide + 1) + torch.arange(wide)
    return subject.images.cpu()[image, channel, rows, columns][:, None].to(subject.images)
