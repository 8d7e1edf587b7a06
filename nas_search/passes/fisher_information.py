"""The pass of the Fisher information: a backward pass per class, one weight per tensor.

With theta one element of each parameter tensor, J_i the (classes, T) Jacobian of image i's logits
and p_i its class probabilities, the information that a label drawn from p_i carries on theta is
``J_i^T (diag p_i - p_i p_i^T) J_i``. No label is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_search.gradients import PerCandidate, SampleGradient
from nas_search.passes.base import PASSES, Outcome, Pass, Subject, logit_gradients
from nas_search.passes.dead import where_alive
from nas_search.passes.paths import layers_of_each
from nas_search.stacked.candidates import Members, candidates_of

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
    """Keeps of every per-sample gradient its first element.

    Attributes:
        found: (n,) float64 of every candidate and parameter.
    """

    def __init__(self) -> None:
        self.found = PerCandidate()

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Reduce ``gradient`` to the members' first elements."""
        own = gradient.matrix()[:, 0].unflatten(0, (len(members), -1))
        self.found.add(parameter, members, own.double())


def estimate_fisher_information(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Differentiate the logits class by class.

    A candidate is dead if its logits are not finite or do not depend on the image.

    Raises:
        InputError: a layer has no per-sample rule, see
            :func:`nas_search.gradients.per_sample_backward`.
    """
    names = _parameters_of_each(subject)
    logits, first = _first_elements(subject, 0)
    classes = [first, *(_first_elements(subject, k)[1] for k in range(1, logits.shape[1]))]
    none = logits.new_zeros(len(subject.images), dtype=torch.float64)
    results = []
    for number, own_logits in enumerate(logits.unflatten(0, (len(names), -1))):
        columns = [
            torch.stack([of_class[number].get(name, none) for name in names[number]], 1)
            for of_class in classes
        ]
        spectrum = _spectrum(torch.stack(columns, 1), own_logits)
        results.append([FisherInformation(spectrum)])
    return where_alive(logits, results)


def _spectrum(jacobians: Tensor, logits: Tensor) -> Tensor:
    """Return the eigenvalues (T,) from Jacobians (n, classes, T) and logits (n, classes)."""
    if not logits.isfinite().all():  # dead, and the library refuses it
        return jacobians.new_zeros(jacobians.shape[2])
    p = (1 - SMOOTHING) * logits.double().softmax(1) + SMOOTHING / logits.shape[1]
    covariance = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    weighted = (covariance @ jacobians).flatten(0, 1)
    information = jacobians.flatten(0, 1).T @ weighted / len(logits)
    eigenvalues: Tensor = torch.linalg.eigvalsh(information)
    return eigenvalues.clamp_min(0)


def _first_elements(subject: Subject, number: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Return the logits (K n, classes) and the gradients of those of one class, by parameter."""
    sink = _FirstElements()
    logits = logit_gradients(subject, sink, lambda logits: logits[:, number].sum())
    return logits, sink.found.by_candidate(len(candidates_of(subject.network)))


def _parameters_of_each(subject: Subject) -> list[list[str]]:
    """Return the names of each candidate's parameter tensors."""
    network = subject.network
    return [
        [
            f"{layer}.{name}"
            for layer in layers
            for name, _ in network.get_submodule(layer).named_parameters(recurse=False)
        ]
        for layers in layers_of_each(network, subject.images)
    ]


PASSES.add(
    Pass(
        name="fisher_information",
        run=estimate_fisher_information,
        provides=(FisherInformation,),
        network="complete",
    )
)
