"""The pass of the tangent kernel: gradients of each image's summed logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import GramSink, normalised_network, per_sample_backward
from nas_search.passes.base import DeadNetwork, Subject, collects
from nas_search.passes.logits import check_logits


@dataclass(frozen=True)
class LogitKernel:
    """The tangent kernel of the summed logits.

    Attributes:
        kernel: (n, n) float64, J J^T with J_i = d(sum of image i's logits) / d(all tensors called
            ``weight``, batch-norm's scales among them).
        eps: rounding of the precision that the gradients were computed in.
    """

    kernel: Tensor
    eps: float


@collects(LogitKernel)
def logit_kernel(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Differentiate image by image; in one backward pass where no image depends on another.

    In true train mode each image's logits depend on all images through the batch's statistics: n
    backward passes, as the definition has it.

    Raises:
        DeadNetwork: the logits are not finite, do not depend on the image, or reach no weight.
    """
    kernel = _one_by_one(subject) if subject.normalisation == "batch" else _at_once(subject)
    return [LogitKernel(kernel, torch.finfo(subject.images.dtype).eps)]


def _one_by_one(subject: Subject) -> Tensor:
    weights = [p for name, p in subject.network.named_parameters() if name.endswith("weight")]
    rows = []
    with normalised_network(subject.network, subject.normalisation), torch.enable_grad():
        logits = subject.network(subject.images)
        check_logits(logits.detach())
        if not logits.requires_grad:
            raise DeadNetwork("no weight receives gradient")
        for own in logits.sum(1):
            gradients = torch.autograd.grad(own, weights, retain_graph=True, allow_unused=True)
            rows.append(torch.cat([g.flatten() for g in gradients if g is not None]))
    matrix = torch.stack(rows).double()
    return matrix @ matrix.T


def _at_once(subject: Subject) -> Tensor:
    sink = GramSink()
    logits = per_sample_backward(
        subject.network,
        subject.images,
        subject.labels,
        [sink],
        normalisation=subject.normalisation,
        parameters="all",
        objective=lambda logits, labels: logits.sum(),
    )
    check_logits(logits)
    grams = [gram.double() for name, gram in sink.grams.items() if name.endswith("weight")]
    if not grams:
        raise DeadNetwork("no weight receives gradient")
    return torch.stack(grams).sum(0)
