"""The pass of the Fisher information: a backward pass for each class, one weight a tensor.

With theta one element of each parameter tensor, J_i the (classes, T) Jacobian of image i's logits
and p_i its class probabilities, the information that a label drawn from p_i carries on theta is
``J_i^T (diag p_i - p_i p_i^T) J_i``. No label is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import SampleGradient, per_sample_backward
from nas_search.passes.base import Subject, collects
from nas_search.passes.logits import check_logits
from nas_search.spaces.rows import Members

SMOOTHING = 0.05
"""Share of the uniform distribution in p, as in the code: logits at initialization can be so large
that p would be 0 or 1, where all information vanishes."""


@dataclass(frozen=True)
class FisherInformation:
    """Spectrum of the empirical Fisher information of the first element of every parameter tensor.

    Attributes:
        eigenvalues: (T,) float64, ascending, at least 0, with T the number of parameter tensors of
            the network (biases and batch-norm's scales and shifts among them). A tensor without
            gradient adds an eigenvalue 0.
    """

    eigenvalues: Tensor


class _FirstElements:
    """Keeps of every per-sample gradient its first element."""

    def __init__(self) -> None:
        self.columns: dict[str, Tensor] = {}

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to its first element, (n,) float64."""
        self.columns[parameter] = gradient.matrix()[:, 0].double()


@collects(FisherInformation)
def fisher_information(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Differentiate the logits class by class.

    Raises:
        DeadNetwork: the logits are not finite or do not depend on the image.
        InputError: a layer has no per-sample rule, see
            :func:`nas_search.gradients.per_sample_backward`.
    """
    logits, first = _jacobian_of_class(subject, 0)
    check_logits(logits)
    rows = [first, *(_jacobian_of_class(subject, k)[1] for k in range(1, logits.shape[1]))]
    jacobians = torch.stack(rows, 1)  # (n, classes, T)
    p = (1 - SMOOTHING) * logits.double().softmax(1) + SMOOTHING / logits.shape[1]
    covariance = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    weighted = (covariance @ jacobians).flatten(0, 1)
    information = jacobians.flatten(0, 1).T @ weighted / len(logits)
    return [FisherInformation(torch.linalg.eigvalsh(information).clamp_min(0))]


def _jacobian_of_class(subject: Subject, number: int) -> tuple[Tensor, Tensor]:
    """Return the logits (n, classes) and the gradients (n, T) of those of one class."""
    sink = _FirstElements()
    logits = per_sample_backward(
        subject.network,
        subject.images,
        subject.labels,
        [sink],
        normalisation=subject.normalisation,
        parameters="all",
        objective=lambda logits, labels: logits[:, number].sum(),
    )
    none = logits.new_zeros(len(logits), dtype=torch.float64)
    names = [name for name, _ in subject.network.named_parameters()]
    return logits, torch.stack([sink.columns.get(name, none) for name in names], 1)
