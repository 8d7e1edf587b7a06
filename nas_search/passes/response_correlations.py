"""The pass of response correlations: how alike the images are in what ReLUs take and give back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import normalized_network
from nas_search.passes.base import PASSES, Outcome, Pass, Subject, mean_losses
from nas_search.passes.dead import where_alive
from nas_search.passes.hooks import hooked
from nas_search.stacked.candidates import Members, candidates_of


@dataclass(frozen=True)
class ResponseCorrelations:
    """Correlations between images of the responses of ReLUs, later cells counting more.

    Attributes:
        kernel: (n, n) float64, the sum over ReLUs of 2^c (abs(A) + abs(G)), where c is the
            number of the cell, and the head is one cell more; A are the Pearson correlations
            between images of what a ReLU takes, G those of the loss's gradient with respect to it.
            Where an image has constant values, the matrix is left out.
    """

    kernel: Tensor


def correlate_responses(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward and backward the batch and correlate what its images do at every ReLU of a cell.

    A candidate is dead if its logits are not finite or do not depend on the image.

    Raises:
        InputError: the network has no list of ``cells``, or no ReLU in them.
    """
    network, n = subject.network, len(subject.images)
    candidates = candidates_of(network)
    weights = _weights(network)
    kernels = subject.images.new_zeros(len(candidates), n, n, dtype=torch.float64)

    def add(values: Tensor, members: Members, weight: float) -> None:
        found = _correlations(values.detach().unflatten(0, (len(members), n)).flatten(2).double())
        usable = found.flatten(1).isfinite().all(1)
        found = torch.where(usable[:, None, None], found.abs(), 0.0)
        kernels.index_add_(0, torch.tensor(members, device=found.device), weight * found)

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        members, weight, taken = candidates.active, weights[module], inputs[0].detach()
        add(taken, members, weight)
        if output.requires_grad:
            output.register_hook(lambda error: add(error * (taken > 0), members, weight))

    hooks = hooked(relu.register_forward_hook(look) for relu in weights)
    with hooks, normalized_network(network, subject.normalization), torch.enable_grad():
        images = subject.images.detach().requires_grad_()  # so that errors pass by every ReLU
        logits: Tensor = network(images)
        loss = mean_losses(logits, subject.labels, subject.loss).sum()
        if loss.requires_grad:
            torch.autograd.grad(loss, images, allow_unused=True)
    return where_alive(logits.detach(), [[ResponseCorrelations(kernel)] for kernel in kernels])


def _weights(network: nn.Module) -> dict[nn.Module, float]:
    """Return the ReLUs of the cells and of the head with their weights."""
    cells, head = getattr(network, "cells", None), getattr(network, "head", None)
    if not isinstance(cells, nn.ModuleList):
        raise InputError("WRCor needs a network with a list of cells")
    parts = [*cells, head] if isinstance(head, nn.Module) else list(cells)
    found: dict[nn.Module, float] = {
        module: 2.0**number
        for number, part in enumerate(parts)
        for module in part.modules()
        if isinstance(module, nn.ReLU)
    }
    if not found:
        raise InputError(f"no cell of {type(network).__name__} has an nn.ReLU")
    return found


def _correlations(rows: Tensor) -> Tensor:
    """Return the Pearson correlations (k, n, n) of rows (k, n, values)."""
    centered = rows - rows.mean(2, keepdim=True)
    covariance = centered @ centered.mT
    deviations = covariance.diagonal(dim1=1, dim2=2).sqrt()
    return covariance / deviations[:, :, None] / deviations[:, None, :]


PASSES.add(
    Pass(
        name="response_correlations",
        run=correlate_responses,
        provides=(ResponseCorrelations,),
        network="complete",
    )
)
