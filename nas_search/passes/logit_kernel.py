"""The pass of the tangent kernel: gradients of each image's summed logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import GramSink, ParameterUse, StackedParameters
from nas_search.passes.base import (
    PASSES,
    DeadNetwork,
    Outcome,
    Pass,
    Subject,
    logit_gradients,
)
from nas_search.passes.dead import where_alive
from nas_search.stacked.candidates import candidates_of


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


def compute_logit_kernel(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate image by image; in one backward pass where no image depends on another.

    In true train mode each image's logits depend on all images through the batch's statistics: n
    backward passes, as the definition has it. A candidate is dead if its logits are not
    finite, do not depend on the image, or reach no weight.
    """
    run = _one_by_one if subject.normalization == "batch" else _at_once
    logits, kernels = run(subject)
    eps = torch.finfo(logits.dtype).eps
    nothing = DeadNetwork("no weight receives gradient")
    reached = kernels.flatten(1).any(1).tolist()
    results: list[Outcome] = [
        [LogitKernel(kernel, eps)] if is_reached else nothing
        for kernel, is_reached in zip(kernels, reached, strict=True)
    ]
    return where_alive(logits, results)


def _one_by_one(subject: Subject) -> tuple[Tensor, Tensor]:
    """Return the logits (K n, classes) and each candidate's kernel (K, n, n)."""
    network = subject.network
    candidates, n = len(candidates_of(network)), len(subject.images)
    own = StackedParameters(network, parameters="all")
    rows: dict[ParameterUse, list[Tensor]] = {}
    with own.in_place(subject.normalization, subject.images):
        logits = network(subject.images)
        for summed in logits.unflatten(0, (candidates, n)).sum((0, 2)):
            for use, gradient in own.gradients(summed, retain_graph=True).items():
                if use.parameter.endswith("weight"):
                    rows.setdefault(use, []).append(gradient.flatten(1))
    kernels = logits.new_zeros(candidates, n, n, dtype=torch.float64)
    for use, of_use in rows.items():
        matrix = torch.stack(of_use, 1).double()
        kernels[list(use.members)] += matrix @ matrix.mT
    return logits.detach(), kernels


def _at_once(subject: Subject) -> tuple[Tensor, Tensor]:
    """Return the same from one backward pass."""
    sink = GramSink()
    logits = logit_gradients(subject, sink, torch.sum)
    candidates, n = len(candidates_of(subject.network)), len(subject.images)
    kernels = logits.new_zeros(candidates, n, n, dtype=torch.float64)
    for kernel, grams in zip(kernels, sink.found.by_candidate(candidates), strict=True):
        for name, gram in grams.items():
            if name.endswith("weight"):
                kernel += gram
    return logits, kernels


PASSES.add(Pass(name="logit_kernel", run=compute_logit_kernel, provides=(LogitKernel,)))
