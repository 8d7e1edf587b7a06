"""The pass of cell features: one forward and one backward pass, cut at the borders of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.gradients import normalised_network
from nas_search.passes.base import Subject, collects
from nas_search.passes.logits import check_logits


@dataclass(frozen=True)
class CellFeatures:
    """What AZ-NAS looks at: feature maps between cells, and how gradients pass through a cell.

    They are those of a batch of noise. An image's feature maps start with few principal
    components, so that with images the growth from cell to cell says how fast the stem's output
    spreads, and no longer which cell loses components.

    Attributes:
        entropies: of the stem's and each cell's output, the entropy of the eigenvalues of the
            channels' covariance over images and pixels, scaled to sum to 1.
        gains: of each cell, the largest singular value of the mean outer product of the gradient
            that comes out with the random signs that went in; None where signs pass unchanged.
    """

    entropies: tuple[float, ...]
    gains: tuple[float | None, ...]


@collects(CellFeatures)
def cell_features(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Run the network once on noise and differentiate each cell's output by the output before it.

    The noise is standard normal and of the probe batch's shape.

    Raises:
        DeadNetwork: the logits are not finite or do not depend on the image.
        InputError: the network has no ``stem`` and list of ``cells``.
    """
    stem, cells = (getattr(subject.network, name, None) for name in ("stem", "cells"))
    if not isinstance(stem, nn.Module) or not isinstance(cells, nn.ModuleList):
        raise InputError("AZ-NAS needs a network with a stem and a list of cells")
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        maps.append(output)

    handles = [module.register_forward_hook(keep) for module in (stem, *cells)]
    generator = torch.Generator().manual_seed(subject.seed)
    noise = torch.randn(subject.images.shape, generator=generator).to(subject.images)
    noise.requires_grad_()
    try:
        with normalised_network(subject.network, subject.normalisation), torch.enable_grad():
            check_logits(subject.network(noise).detach())
    finally:
        for handle in handles:
            handle.remove()
    gains = [_gain(before, after, generator) for before, after in pairwise(maps)]
    return [CellFeatures(tuple(_entropy(m.detach()) for m in maps), tuple(gains))]


def _entropy(feature: Tensor) -> float:
    rows = feature.transpose(0, 1).flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    values = torch.linalg.eigvalsh(rows @ rows.T / rows.shape[1]).clamp_min(0)
    shares = values / values.sum()
    return -(shares * (shares + 1e-8).log()).sum().item()


def _gain(before: Tensor, after: Tensor, generator: torch.Generator) -> float | None:
    signs = torch.randint(0, 2, after.shape, generator=generator).to(after) * 2 - 1
    (back,) = torch.autograd.grad(after, before, signs, retain_graph=True, allow_unused=True)
    if back is None:
        return 0.0
    if back.shape == signs.shape and torch.equal(back, signs):
        return None
    stride = back.shape[-1] // signs.shape[-1]
    if stride > 1:
        back = F.pixel_unshuffle(back, stride)
    rows_in, rows_out = (g.transpose(0, 1).flatten(1).double() for g in (back, signs))
    return torch.linalg.matrix_norm(rows_in @ rows_out.T / rows_out.shape[1], ord=2).item()
