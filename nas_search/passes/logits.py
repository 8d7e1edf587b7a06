"""When the logits of a batch show that a network has no score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.passes.base import DeadNetwork, Outcome

CONSTANT = 1000
"""Logits that differ between samples by less than this many roundings of their size are constant.

Global pooling of maps that per-sample batch-norm has just centred gives zero but for rounding, and
so do the gradients: cosines of rounding errors look like the least conflict of all.
"""


def mean_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of each candidate, (K,).

    Args:
        logits: (K n, classes) of K candidates.
        labels: (n,).
    """
    candidates = len(logits) // len(labels)
    losses = F.cross_entropy(logits, labels.repeat(candidates), reduction="none")
    return losses.view(candidates, -1).mean(1)


def where_alive(logits: Tensor, results: Sequence[Outcome]) -> list[Outcome]:
    """Return each candidate's result, or that it is dead where its logits show it.

    Logits that are not finite or do not depend on the image show it.

    Args:
        logits: (K n, classes) of K candidates.
        results: of each of them.
    """
    faults = logits_faults(logits.unflatten(0, (len(results), -1)))
    return [
        DeadNetwork(fault) if fault else result
        for fault, result in zip(faults, results, strict=True)
    ]


def logits_faults(logits: Tensor) -> list[str]:
    """Return what is wrong with each network's logits, empty where nothing is.

    Args:
        logits: (K, n, classes) of K networks.
    """
    largest = logits.abs().amax((1, 2))
    spread = (logits - logits[:, :1]).abs().amax((1, 2))
    varies = spread > CONSTANT * torch.finfo(logits.dtype).eps * largest
    finite = logits.isfinite().flatten(1).all(1)
    faults = []
    for is_finite, does_vary in torch.stack([finite, varies], 1).tolist():
        if not is_finite:
            faults.append("logits or gradients are not finite")
        else:
            faults.append("" if does_vary else "the logits do not depend on the image")
    return faults
