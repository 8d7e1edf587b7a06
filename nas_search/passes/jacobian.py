"""The pass of the input Jacobian: one forward and one backward pass down to the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import normalised_network
from nas_search.passes.base import Outcome, Subject, collects_of_all
from nas_search.passes.logits import where_alive
from nas_search.spaces.population import own_images
from nas_search.spaces.rows import rows_of


@dataclass(frozen=True)
class InputJacobian:
    """How the logits react to the images.

    Attributes:
        rows: (n, C H W) float64, d(sum of all logits) / dx_i.
        labels: (n,) classes of the images.
    """

    rows: Tensor
    labels: Tensor


@collects_of_all(InputJacobian)
def jacobian_of_all(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate the sum of all logits with respect to each candidate's copy of the images.

    A candidate is dead whose logits are not finite or do not depend on the image.
    """
    network = subject.network
    candidates = len(rows_of(network).everyone)
    images = own_images(network, subject.images.detach()).requires_grad_()
    with normalised_network(network, subject.normalisation), torch.enable_grad():
        logits = network(images)
        (found,) = torch.autograd.grad(logits.sum(), images, allow_unused=True)
    found = torch.zeros_like(images) if found is None else found
    rows = found.view(candidates, len(subject.images), -1).double()
    return where_alive(logits.detach(), [[InputJacobian(own, subject.labels)] for own in rows])
