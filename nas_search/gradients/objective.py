"""What is differentiated: a sum of the samples' own losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.core.errors import InputError

Objective = Callable[[Tensor, Tensor], Tensor]
"""From logits (n, ...) and labels (n, ...) to the samples' own losses (n,), or to their sum."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the samples' cross-entropies, (n,), of ``logits`` (n, classes) at ``labels`` (n,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def losses_of(objective: Objective, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the samples' own losses, (n,)."""
    losses = objective(logits, labels)
    if losses.dim() == 1:
        return losses
    each = zip(logits.split(1), labels.split(1), strict=True)
    return torch.stack([objective(own, label).sum() for own, label in each])


def check_objective(objective: Objective, logits: Tensor, labels: Tensor) -> None:
    """Refuse an objective that is no sum of one loss per sample.

    Three samples tell: the gradient of the middle one's logits is the same without its neighbors.

    Args:
        objective: to be checked; cross-entropy is known.
        logits: (n, ...).
        labels: (n, ...).

    Raises:
        InputError: it returns something else, or a sample's loss depends on other samples.
    """
    if objective is cross_entropy or not logits.is_floating_point():
        return
    logits, labels = logits[:3].detach(), labels[:3]
    middle = slice(1, 2) if len(logits) > 1 else slice(None)
    together = _gradient(objective, logits, labels)[middle]
    alone = _gradient(objective, logits[middle], labels[middle])
    largest = max(float(together.norm()), float(alone.norm()))
    tolerance = 3 * torch.finfo(logits.dtype).eps ** 0.5
    if float((together - alone).norm()) > tolerance * largest:  # NaN passes: there is no score
        raise InputError(
            "the loss of one sample depends on other samples, so there are no per-sample "
            "gradients; give a loss that returns one number per sample (e.g. reduction='none')"
        )


def _gradient(objective: Objective, logits: Tensor, labels: Tensor) -> Tensor:
    leaf = logits.clone().requires_grad_()
    with torch.enable_grad():
        losses = objective(leaf, labels)
        if not isinstance(losses, Tensor) or (losses.dim() and len(losses) != len(logits)):
            what = (
                f"shape {tuple(losses.shape)}"
                if isinstance(losses, Tensor)
                else f"a {type(losses).__name__}"
            )
            raise InputError(
                f"the loss of {len(logits)} samples returns {what}; it must return one number per "
                "sample, or their sum"
            )
        if not losses.requires_grad:
            return torch.zeros_like(logits)
        (found,) = torch.autograd.grad(losses.sum(), leaf, allow_unused=True)
    return torch.zeros_like(logits) if found is None else found
