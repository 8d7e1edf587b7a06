"""The base of networks that run several candidates of a space at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_search.stacked.candidates import Candidates, Members

Pool = Callable[..., nn.Module]
"""``pool(name, make, *sizes)`` returns the module ``make(*sizes)``, the same one in every call.

The name is that of the module in the network of a single candidate; modules of one name may have
several sizes.
"""


class StackedNetwork(nn.Module):
    """K candidates of one skeleton in one network: images (n, C, H, W) to logits (K n, classes).

    Images (K, n, C, H, W) are one batch per candidate. Rows n k to n (k + 1) - 1 of the logits
    belong to candidate k. Parameters have the same names as in the network of a single candidate,
    and a layer processes only the samples of the candidates that have it, see
    :class:`nas_search.stacked.candidates.Candidates`.

    A subclass must move samples between candidates by :mod:`nas_search.stacked.routing`, which
    records the moves for the walk along paths (:mod:`nas_search.passes.paths`).

    Args:
        candidates: number K of candidates.

    Attributes:
        candidates: the candidates, and those of the current layer while the network runs.
    """

    runs_level_by_level = False
    """Whether ``forward`` looks at :attr:`Candidates.edge_layers`, and runs all edges of a level of
    its cells in one call per kind of operation where there are any."""

    def __init__(self, candidates: int) -> None:
        super().__init__()
        self.candidates = Candidates(candidates)

    def fold(self, images: Tensor) -> Tensor:
        """Return the images once per candidate, (K n, C, H, W)."""
        self.candidates.active = self.candidates.all
        if images.dim() == 5:
            return images.flatten(0, 1)
        return images.repeat(len(self.candidates), 1, 1, 1)


def copy_per_candidate(network: nn.Module, images: Tensor) -> Tensor:
    """Return one copy of ``images`` (n, C, H, W) per candidate of ``network``.

    Returns:
        (K, n, C, H, W) for a stacked network, (n, C, H, W) for an ordinary one.
    """
    if isinstance(network, StackedNetwork):
        return images.repeat(len(network.candidates), 1, 1, 1, 1)
    return images.clone()


def apply_to_members(
    candidates: Candidates, members: Members, module: nn.Module, x: Tensor
) -> Tensor:
    """Apply ``module`` to the samples of ``members``, (k, n, C, H, W), as the active candidates."""
    before, candidates.active = candidates.active, members
    y = module(x.flatten(0, 1))
    candidates.active = before
    unfolded: Tensor = y.unflatten(0, x.shape[:2])
    return unfolded


def device_of(module: nn.Module) -> torch.device:
    """Return the device of the first parameter."""
    return next(module.parameters()).device
