"""What a layer rule may return where the network goes on to change its output in place."""

from __future__ import annotations

import torch
from torch import Tensor


def changeable(y: Tensor) -> Tensor:
    """Return ``y`` as no view of another tensor: autograd refuses to change a rule's view."""
    changed: Tensor = torch.ops.aten._unsafe_view(y, y.shape)
    return changed
