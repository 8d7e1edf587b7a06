"""The pass of cell features: one forward and one backward pass, cut at the borders of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import normalized_network
from nas_search.kernels.eigenvalues import eigenvalues
from nas_search.passes.base import PASSES, Outcome, Pass, Subject
from nas_search.passes.dead import where_alive
from nas_search.passes.hooks import hooked
from nas_search.passes.maps import as_images
from nas_search.stacked.candidates import candidates_of


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


def look_between_cells(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Run the network once on noise and differentiate each cell's output by the output before it.

    The noise is standard normal and of the probe batch's shape. A candidate is dead if its logits
    are not finite or do not depend on the image.

    Raises:
        InputError: the network has no ``stem`` and list of ``cells``.
    """
    network = subject.network
    candidates = len(candidates_of(network))
    stem, cells = (getattr(network, name, None) for name in ("stem", "cells"))
    if not isinstance(stem, nn.Module) or not isinstance(cells, nn.ModuleList):
        raise InputError("AZ-NAS needs a network with a stem and a list of cells")
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        maps.append(output)

    generator = torch.Generator().manual_seed(subject.seed)
    noise = torch.randn(subject.images.shape, generator=generator).to(subject.images)
    noise.requires_grad_()
    hooks = hooked(module.register_forward_hook(keep) for module in (stem, *cells))
    with hooks, normalized_network(network, subject.normalization), torch.enable_grad():
        logits = network(noise).detach()
    gains = torch.stack([_gains(b, a, candidates, generator) for b, a in pairwise(maps)], 1)
    entropies = torch.stack([_entropies(m.detach(), candidates) for m in maps], 1)
    found = [
        CellFeatures(tuple(own), tuple(None if gain < 0 else gain for gain in own_gains))
        for own, own_gains in zip(entropies.tolist(), gains.tolist(), strict=True)
    ]
    return where_alive(logits, [[own] for own in found])


def _channels(maps: Tensor, candidates: int) -> Tensor:
    """Return each channel's values over images and pixels, (K, C, n H W) float64."""
    maps = as_images(maps)
    own = maps.reshape(candidates, -1, *maps.shape[-3:])
    return own.transpose(1, 2).flatten(2).double()


def _entropies(maps: Tensor, candidates: int) -> Tensor:
    rows = _channels(maps, candidates)
    rows = rows - rows.mean(2, keepdim=True)
    values = eigenvalues(rows @ rows.mT / rows.shape[2]).clamp_min(0)
    shares = values / values.sum(1, keepdim=True)
    return -(shares * (shares + 1e-8).log()).sum(1)


def _gains(before: Tensor, after: Tensor, candidates: int, generator: torch.Generator) -> Tensor:
    """Return the largest singular values (K,); -1 where the signs come out as they went in."""
    shape = as_images(after).shape[-3:]
    n = after.numel() // shape.numel() // candidates
    drawn = torch.randint(0, 2, (n, *shape), generator=generator)
    signs = (drawn.to(after) * 2 - 1).repeat(candidates, 1, 1, 1)
    back: Tensor | None = None
    if after.requires_grad and before.requires_grad:
        (back,) = torch.autograd.grad(
            after, before, signs.view(after.shape), retain_graph=True, allow_unused=True
        )
    if back is None:
        return signs.new_zeros(candidates, dtype=torch.float64)
    back = as_images(back)
    back = back.reshape(len(signs), *back.shape[-3:])
    unchanged = torch.zeros(candidates, dtype=torch.bool, device=back.device)
    if back.shape == signs.shape:
        unchanged = (back == signs).view(candidates, -1).all(1)
    stride = -(-back.shape[-1] // signs.shape[-1])
    if stride > 1:
        back = _unshuffled(back, stride, signs.shape[-1])
    rows_in, rows_out = _channels(back, candidates), _channels(signs, candidates)
    products = rows_in @ rows_out.mT / rows_out.shape[2]
    largest: Tensor = torch.linalg.matrix_norm(products, ord=2)
    return largest.masked_fill(unchanged, -1)


def _unshuffled(maps: Tensor, stride: int, length: int) -> Tensor:
    """Return maps (n, C, H, W) whose places are those behind a stride, the others as channels.

    Series may have an odd length, whose last step is then half a place: zeros are added.
    """
    if maps.shape[-2] > 1:
        return F.pixel_unshuffle(maps, stride)
    padded = F.pad(maps, (0, stride * length - maps.shape[-1]))
    places: Tensor = padded.unflatten(-1, (length, stride)).movedim(-1, 2).flatten(1, 2)
    return places


PASSES.add(Pass(name="cell_features", run=look_between_cells, provides=(CellFeatures,)))
