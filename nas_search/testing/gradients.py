"""The reference of per-sample gradients: one forward and one backward pass per sample."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers.sample_gradient import SampleGradient
from nas_search.stacked.candidates import Members


class MatrixSink:
    """Keeps full per-sample gradients, for tests of small networks.

    Attributes:
        rows: (n, P) by parameter.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Tensor] = {}

    def add(self, parameter: str, members: Members, gradient: SampleGradient) -> None:
        """Store the rows of ``gradient``."""
        assert parameter not in self.rows
        assert members == (0,)
        self.rows[parameter] = gradient.matrix()


def gradients_by_loop(
    network: nn.Module, images: Tensor, labels: Tensor, mode: str
) -> dict[str, Tensor]:
    """Return (n, P) gradients by parameter name, without parameters that have no gradient.

    Args:
        network: any network; it is not changed.
        images: (n, ...).
        labels: (n,) int64.
        mode: batch-norm statistics under which samples are independent: sample, frozen or eval.
    """
    network = copy.deepcopy(network)
    if mode == "frozen":
        freeze_statistics(network, images)
    # In train mode, one image at a time is normalized by its own statistics.
    for module in network.modules():
        module.training = mode == "sample" and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    rows: dict[str, list[Tensor]] = {}
    for image, label in zip(images, labels, strict=True):
        network.zero_grad()
        F.cross_entropy(network(image[None]), label[None]).backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                rows.setdefault(name, []).append(parameter.grad.to_dense().flatten().clone())
    return {name: torch.stack(gradients) for name, gradients in rows.items()}


def freeze_statistics(network: nn.Module, images: Tensor) -> None:
    """Write the batch's statistics into the running statistics of every batch-norm."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    network.eval()
    for module in norms:
        module.train()
        module.momentum = 1.0

        def correct(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            x = inputs[0].transpose(0, 1).flatten(1)
            variance = module.get_buffer("running_var")
            variance.copy_(x.var(1, correction=0))  # the layer keeps the unbiased one

        module.register_forward_hook(correct)
    with torch.no_grad():
        network(images)
    for module in norms:
        module.eval()
        module._forward_hooks.clear()
