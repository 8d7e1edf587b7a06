"""The pass of the input Jacobian: one forward and one backward pass down to the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import normalised_network
from nas_search.passes.base import Subject, collects
from nas_search.passes.logits import check_logits


@dataclass(frozen=True)
class InputJacobian:
    """How the logits react to the images.

    Attributes:
        rows: (n, C H W) float64, d(sum of all logits) / dx_i.
        labels: (n,) classes of the images.
    """

    rows: Tensor
    labels: Tensor


@collects(InputJacobian)
def jacobian(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Differentiate the sum of all logits with respect to the images.

    Raises:
        DeadNetwork: the logits are not finite or do not depend on the image.
    """
    images = subject.images.detach().clone().requires_grad_()
    with normalised_network(subject.network, subject.normalisation), torch.enable_grad():
        logits = subject.network(images)
        check_logits(logits.detach())
        (rows,) = torch.autograd.grad(logits.sum(), images)
    return [InputJacobian(rows.flatten(1).double(), subject.labels)]
