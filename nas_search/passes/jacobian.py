"""The pass of the input Jacobian: one forward and one backward pass down to the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.gradients import normalized_network
from nas_search.passes.base import PASSES, DeadNetwork, Outcome, Pass, Subject
from nas_search.passes.dead import constant_below, where_alive
from nas_search.stacked.candidates import candidates_of
from nas_search.stacked.network import copy_per_candidate


@dataclass(frozen=True)
class InputJacobian:
    """How the logits react to the images.

    Attributes:
        rows: (n, C H W) float64, d(sum of all logits) / dx_i.
        labels: (n,) classes of the images.
    """

    rows: Tensor
    labels: Tensor


def differentiate_by_images(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate the sum of all logits with respect to each candidate's copy of the images.

    A candidate is dead if its logits are not finite or do not depend on the image, or if its rows
    are rounding errors: in true train mode the mean over the batch of what batch-norm returns is
    constant, and where only convolutions, pooling of whole maps and the classifier follow, so is
    the sum of all logits.

    Raises:
        InputError: the network takes tokens.
    """
    if not subject.images.is_floating_point():
        raise InputError("this score differentiates by the image, and the network takes tokens")
    network = subject.network
    candidates = len(candidates_of(network))
    images = copy_per_candidate(network, subject.images.detach()).requires_grad_()
    with normalized_network(network, subject.normalization), torch.enable_grad():
        logits = network(images)
        (found,) = torch.autograd.grad(logits.sum(), images, allow_unused=True)
    found = torch.zeros_like(images) if found is None else found
    rows = found.reshape(candidates, len(subject.images), -1).double()
    logits = logits.detach()
    nothing = DeadNetwork("the sum of all logits does not depend on the images")
    largest = logits.unflatten(0, (candidates, -1)).abs().amax((1, 2))
    change = (rows.norm(dim=2) * subject.images.flatten(1).norm(dim=1)).amax(1)
    depends = change > constant_below(logits.dtype) * largest
    results: list[Outcome] = [
        [InputJacobian(own, subject.classes)] if does_depend else nothing
        for own, does_depend in zip(rows, depends.tolist(), strict=True)
    ]
    return where_alive(logits, results)


PASSES.add(Pass(name="jacobian", run=differentiate_by_images, provides=(InputJacobian,)))
