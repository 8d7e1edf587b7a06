"""The reference: one backward pass a sample, in whatever way the mode says samples are seen."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loop(network: nn.Module, images: Tensor, labels: Tensor, mode: str) -> dict[str, Tensor]:
    """Return (n, P) gradients by parameter name; parameters without gradient are left out."""
    network = copy.deepcopy(network)
    if mode == "frozen":
        _freeze_statistics(network, images)
    network.train(mode == "sample")  # one image at a time in train mode = per-sample statistics
    rows: dict[str, list[Tensor]] = {}
    for image, label in zip(images, labels, strict=True):
        network.zero_grad()
        F.cross_entropy(network(image[None]), label[None]).backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                rows.setdefault(name, []).append(parameter.grad.flatten().clone())
    return {name: torch.stack(gradients) for name, gradients in rows.items()}


@dataclass
class LayerOfSamples:
    """Each sample's (n, ...) input, error and weight gradient of one layer, flattened."""

    inputs: Tensor
    errors: Tensor
    gradients: Tensor


def factors(
    network: nn.Module, images: Tensor, labels: Tensor, mode: str
) -> dict[str, LayerOfSamples]:
    """Return what enters each convolution and linear layer and what comes back to its output."""
    rows = loop(network, images, labels, mode)
    network = copy.deepcopy(network)
    if mode == "frozen":
        _freeze_statistics(network, images)
    network.train(mode == "sample")
    inputs: dict[str, list[Tensor]] = {}
    outputs: dict[str, Tensor] = {}
    errors: dict[str, list[Tensor]] = {}

    def look(name: str, module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
        inputs.setdefault(name, []).append(args[0].detach().flatten())
        output.retain_grad()
        outputs[name] = output

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(partial(look, name))
    for image, label in zip(images, labels, strict=True):
        F.cross_entropy(network(image[None]), label[None]).backward()
        for name, output in outputs.items():
            if output.grad is not None:
                errors.setdefault(name, []).append(output.grad.flatten())
    return {
        name: LayerOfSamples(
            torch.stack(inputs[name]), torch.stack(errors[name]), rows[f"{name}.weight"]
        )
        for name in errors
    }


def _freeze_statistics(network: nn.Module, images: Tensor) -> None:
    """Write the batch's statistics into the running statistics of every batch-norm."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0

            def correct(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
                x = inputs[0].transpose(0, 1).flatten(1)
                module.running_var.copy_(
                    x.var(1, correction=0)
                )  # the layer stores the unbiased one

            module.register_forward_hook(correct)
    network.train()
    with torch.no_grad():
        network(images)
    for module in network.modules():
        module._forward_hooks.clear()
