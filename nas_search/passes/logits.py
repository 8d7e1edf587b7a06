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
    constant = CONSTANT * torch.finfo(logits.dtype).eps * logits.abs().max()
    spread = (logits - logits[0]).abs().max() > constant
    finite, varies = torch.stack([logits.isfinite().all(), spread]).tolist()
    if not finite:
        raise DeadNetwork("logits or gradients are not finite")
    if not varies:
        raise DeadNetwork("the logits do not depend on the image")
