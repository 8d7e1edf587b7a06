"""When the logits of a batch show that a network has no score."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_search.passes.base import DeadNetwork

CONSTANT = 1000
"""Logits that differ between samples by less than this many roundings of their size are constant.

Global pooling of maps that per-sample batch-norm has just centred gives zero but for rounding, and
so do the gradients: cosines of rounding errors look like the least conflict of all.
"""


def check_logits(logits: Tensor) -> None:
    """Refuse logits (n, classes) that are not finite or do not depend on the image.

    Raises:
        DeadNetwork: they are either.
    """
    (fault,) = logits_faults(logits[None])
    if fault:
        raise DeadNetwork(fault)


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
