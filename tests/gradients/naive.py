"""The reference of what per-sample gradients are made of, one pass per sample."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.testing.gradients import gradients_by_loop, statistics


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
    rows = gradients_by_loop(network, images, labels, mode)
    network = copy.deepcopy(network).eval()
    inputs: dict[str, list[Tensor]] = {}
    outputs: dict[str, Tensor] = {}
    errors: dict[str, list[Tensor]] = {}

    def look(name: str, module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
        inputs.setdefault(name, []).append(args[0].detach().flatten())
        if output.requires_grad:
            output.retain_grad()
            outputs[name] = output

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(partial(look, name))
    with statistics(network, images, mode) as restart:
        inputs.clear()
        for image, label in zip(images, labels, strict=True):
            restart()
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
