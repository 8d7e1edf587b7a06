"""Per-sample gradients by one backward pass per sample: for what no rule of the book knows.

Exact for any network that autograd can differentiate, at the price of n backward passes over the
graph of one forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nas_search.gradients.forwards import logits_of, normalized_network
from nas_search.gradients.objective import Objective, losses_of
from nas_search.layers.modes import Normalization
from nas_search.layers.recorder import Recorder


def gradients_one_by_one(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    recorder: Recorder,
    parameters: Mapping[str, nn.Parameter],
    normalization: Normalization,
    objective: Objective,
) -> Tensor:
    """Hand the gradients of ``parameters`` to ``recorder``; arguments as for the fast pass.

    Args:
        network: an ordinary network.
        images: (n, ...).
        labels: (n, ...).
        recorder: takes (n, P) rows of each parameter that receives gradient.
        parameters: those that are wanted, by name.
        normalization: statistics of batch-norm.
        objective: as in :func:`nas_search.gradients.per_sample_backward`.

    Returns:
        The logits, detached.
    """
    rows: dict[str, list[Tensor]] = {}
    with normalized_network(network, normalization), torch.enable_grad():
        logits = logits_of(network, images)
        if logits.requires_grad and parameters:
            for number, loss in enumerate(losses_of(objective, logits, labels)):
                found = torch.autograd.grad(
                    loss, list(parameters.values()), retain_graph=True, allow_unused=True
                )
                for (name, parameter), gradient in zip(parameters.items(), found, strict=True):
                    if gradient is not None:
                        own = rows.setdefault(name, [])
                        none = parameter.new_zeros(parameter.numel())
                        own += [none] * (number - len(own)) + [gradient.to_dense().flatten()]
    for name, own in rows.items():
        own += [own[0].new_zeros(own[0].shape)] * (len(images) - len(own))
        recorder.add_rows(name, torch.stack(own))
    return logits.detach()
