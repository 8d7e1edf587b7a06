"""What lets a space run several candidates in one network; a space without it runs each alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_search.stacked.candidates import Candidates, Members

Pool = Callable[..., nn.Module]
"""``pool(name, make, *sizes)``: the module ``make(*sizes)``, the same each time, weights and all.

The name is the one that the module has in the network of a single candidate; modules of one name
may come in several sizes.
"""


class StackedNetwork(nn.Module):
    """K candidates of one skeleton in one network: images (n, C, H, W) to logits (K n, classes).

    Images (K, n, C, H, W) are a batch for each candidate. Rows n k to n (k + 1) - 1 of the logits
    are those of candidate k. A parameter has the name that it has in the network of a candidate
    alone, and a layer that some candidates have sees their samples only, see
    :class:`nas_search.stacked.candidates.Candidates`.

    A network that moves samples between candidates does so by :mod:`nas_search.stacked.routing`:
    its paths are known from how that moves them.

    Args:
        candidates: number K of candidates.

    Attributes:
        candidates: tells while the network runs whose samples a layer sees.
    """

    def __init__(self, candidates: int) -> None:
        super().__init__()
        self.candidates = Candidates(candidates)

    def fold(self, images: Tensor) -> Tensor:
        """Return the images once per candidate, (K n, C, H, W)."""
        self.candidates.active = self.candidates.all
        if images.dim() == 5:
            return images.flatten(0, 1)
        return images.repeat(len(self.candidates), 1, 1, 1)


def own_images(network: nn.Module, images: Tensor) -> Tensor:
    """Return a copy of ``images`` (n, C, H, W) for each candidate that ``network`` runs.

    Returns:
        (K, n, C, H, W) for a stacked network, (n, C, H, W) for an ordinary one.
    """
    if isinstance(network, StackedNetwork):
        return images.repeat(len(network.candidates), 1, 1, 1, 1)
    return images.clone()


def apply_to_members(
    candidates: Candidates, members: Members, module: nn.Module, x: Tensor
) -> Tensor:
    """Apply ``module`` to the samples of ``members``, (k, n, C, H, W), and say whose they are."""
    before, candidates.active = candidates.active, members
    y = module(x.flatten(0, 1))
    candidates.active = before
    apart: Tensor = y.unflatten(0, x.shape[:2])
    return apart


def device_of(module: nn.Module) -> torch.device:
    """Return the device of the first parameter."""
    return next(module.parameters()).device
