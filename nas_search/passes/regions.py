"""The pass of linear regions: a narrow network forwards thousands of tiny crops of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import normalized_network
from nas_search.passes.base import NARROW_IMAGE, PASSES, Outcome, Pass, Subject
from nas_search.passes.hooks import RELUS, hooked
from nas_search.stacked.candidates import candidates_of

SAMPLES = 3000
BATCH = 1000


@dataclass(frozen=True)
class LinearRegions:
    """How many linear pieces of a narrow network the crops fall into.

    Attributes:
        distinct: number of distinct on/off patterns of all ReLUs, at most ``samples``.
        samples: number of crops.
    """

    distinct: int
    samples: int


def count_regions(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward 3,000 random crops of one channel in batches of 1,000, in true train mode.

    Raises:
        InputError: the network takes series or other images than crops, or the images are smaller.
    """
    if any(isinstance(module, nn.Conv1d) for module in subject.network.modules()):
        raise InputError("linear regions are counted on images, and this network convolves series")
    first = next((m for m in subject.network.modules() if isinstance(m, nn.Conv2d)), None)
    if first is not None and first.in_channels != NARROW_IMAGE[0]:
        raise InputError(
            "linear regions are counted on a narrow network, for images of one channel; this one "
            f"takes {first.in_channels}"
        )
    counts = distinct_patterns(subject.network, _crops(subject))
    return [[LinearRegions(count, SAMPLES)] for count in counts]


def distinct_patterns(network: nn.Module, images: Tensor) -> list[int]:
    """Return how many on/off patterns of all ReLUs of feature maps ``images`` (n, C, H, W) show.

    They are forwarded in batches of 1,000, in true train mode.

    Returns:
        the number of each of the K candidates of ``network``; of an ordinary one, its own.
    """
    candidates = candidates_of(network)
    patterns: list[list[list[Tensor]]] = [[] for _ in candidates.all]  # of candidates, batches

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.dim() == 4:
            on = (output.flatten(1) > 0).unflatten(0, (len(candidates.active), -1))
            for member, own in zip(candidates.active, on, strict=True):
                patterns[member][-1].append(own)

    relus = [module for module in network.modules() if isinstance(module, RELUS)]
    hooks = hooked(relu.register_forward_hook(look) for relu in relus)
    with hooks, normalized_network(network, "batch"), torch.no_grad():
        for batch in images.split(BATCH):
            for of_one in patterns:
                of_one.append([])
            network(batch)
    return [_distinct(of_one) for of_one in patterns]


def _distinct(patterns: list[list[Tensor]]) -> int:
    rows = [torch.cat(batch, 1) for batch in patterns if batch]
    return torch.cat(rows).unique(dim=0).shape[0] if rows else 1


def _crops(subject: Subject) -> Tensor:
    n, channels, height, width = subject.images.shape
    _, tall, wide = NARROW_IMAGE
    if height < tall or width < wide:
        raise InputError(f"linear regions need images of {tall} x {wide} pixels or more")
    generator = torch.Generator().manual_seed(subject.seed)

    def draw(end: int) -> Tensor:
        return torch.randint(0, end, (SAMPLES, 1, 1), generator=generator)

    image, channel = draw(n), draw(channels)
    rows = draw(height - tall + 1) + torch.arange(tall)[:, None]
    columns = draw(width - wide + 1) + torch.arange(wide)
    return subject.images.cpu()[image, channel, rows, columns][:, None].to(subject.images)


PASSES.add(
    Pass(
        name="regions",
        run=count_regions,
        provides=(LinearRegions,),
        network="narrow",
    )
)
