"""One forward and one backward pass of a batch that yields every sample's gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.layers.batch_norm import batch_norm, differentiable
from nas_search.layers.convolution import convolution
from nas_search.layers.linear import linear
from nas_search.layers.modes import (
    NORMALIZATIONS,
    PARAMETERS,
    Normalization,
    Parameters,
)
from nas_search.layers.pooling import average_pool
from nas_search.layers.recorder import Recorder, Sink
from nas_search.stacked.candidates import candidates_of

Objective = Callable[[Tensor, Tensor], Tensor]
"""From logits (n, classes) and labels (n,) to the sum over samples of each one's own loss."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed cross-entropy of ``logits`` (n, classes) at ``labels`` (n,)."""
    return F.cross_entropy(logits, labels, reduction="sum")


def per_sample_backward(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    sinks: Sequence[Sink],
    *,
    normalization: Normalization = "sample",
    parameters: Parameters = "weights",
    precision: Precision = "fp32",
    objective: Objective = cross_entropy,
) -> Tensor:
    """Send every sample's gradient, parameter by parameter, to ``sinks``; return the logits.

    The gradient of a summed loss with respect to a layer's weight is the sum of the samples' own
    gradients. Each layer rule computes the terms instead of their sum when backward passes through
    the layer, hands them to the sinks and drops them: the n x P matrix of all gradients never
    exists. ``.grad`` of the parameters is left alone, and so are running statistics; layers that
    behave differently in training (dropout) behave as in evaluation.

    Args:
        network: maps images to logits; made of convolutions, linear layers, batch-norm and anything
            without parameters that treats samples independently. A population network
            (:class:`nas_search.stacked.network.StackedNetwork`) runs K candidates at once.
        images: (n, C, H, W), on the network's device and in its dtype.
        labels: (n,) int64, in [0, classes).
        sinks: receivers of the gradients; a parameter that receives none is not mentioned to them.
        normalization: statistics that batch-norm uses, see :data:`.modes.Normalization`.
        parameters: which parameters count, see :data:`.modes.Parameters`.
        precision: of the convolutions, see :data:`nas_search.core.device.Precision`.
        objective: what is differentiated; must be a sum of terms, one a sample.

    Returns:
        The logits, (n, classes), detached; (K n, classes) of a population network.

    Raises:
        InputError: a layer has parameters but no rule, or sees what its rule cannot treat, or
            ``bf16`` is asked for with statistics that it has no use for.
    """
    if normalization not in NORMALIZATIONS:
        raise InputError(
            f"unknown normalization '{normalization}'; possible: {', '.join(NORMALIZATIONS)}"
        )
    if parameters not in PARAMETERS:
        raise InputError(f"unknown parameters '{parameters}'; possible: {', '.join(PARAMETERS)}")
    if precision == "bf16" and normalization not in ("frozen", "eval"):
        raise InputError(
            f"precision=bf16 cannot tell gradients from rounding with normalization "
            f"'{normalization}'; use frozen or eval, or precision=tf32"
        )
    rows = candidates_of(network)
    recorder = Recorder(sinks, parameters == "all", rows, low=precision == "bf16")
    with _rules_in_place(network, recorder, normalization), torch.enable_grad():
        logits = network(images)
        if logits.requires_grad:  # a network whose output no parameter reaches has no gradient
            objective(logits, labels.repeat(len(rows.all))).backward()
        recorder.flush()
    return logits.detach()


@contextmanager
def normalized_network(network: nn.Module, normalization: Normalization) -> Iterator[None]:
    """Let ``network`` run with the statistics of ``normalization``, for ordinary gradients.

    Running statistics are never written; the network is given back as it was found. In a population
    network each candidate has its own batch.
    """
    if normalization not in NORMALIZATIONS:
        raise InputError(
            f"unknown normalization '{normalization}'; possible: {', '.join(NORMALIZATIONS)}"
        )
    rows = candidates_of(network)

    def run(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
        shared = (module.weight, module.bias) if module.affine else (None, None)
        scale, shift = (v if v is None else v.expand(len(rows.active), -1) for v in shared)
        return differentiable(name, module, rows, x, normalization, scale, shift)

    rules: dict[nn.Module, Callable[[Tensor], Tensor]] = {
        module: partial(run, name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    }
    with forwards_replaced(network, rules):
        yield


@contextmanager
def _rules_in_place(
    network: nn.Module, recorder: Recorder, normalization: Normalization
) -> Iterator[None]:
    """Let every layer of ``network`` run by its rule; give it back as it was found."""
    rules: dict[nn.Module, Callable[[Tensor], Tensor]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            rules[module] = partial(convolution, name, module, recorder)
        elif isinstance(module, nn.Linear):
            rules[module] = partial(linear, name, module, recorder)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            rules[module] = partial(batch_norm, name, module, recorder, mode=normalization)
        elif type(module) is nn.AvgPool2d:
            rules[module] = partial(average_pool, module)
        elif next(module.parameters(recurse=False), None) is not None:
            raise InputError(
                f"layer '{name}' ({type(module).__name__}) has parameters but no per-sample "
                "rule; known: Conv2d, Linear, BatchNorm1d, BatchNorm2d"
            )
    with forwards_replaced(network, rules):
        yield


@contextmanager
def forwards_replaced(
    network: nn.Module, rules: Mapping[nn.Module, Callable[[Tensor], Tensor]]
) -> Iterator[None]:
    """Let modules run by ``rules`` and all others as in evaluation; undo it at the end."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        for module, rule in rules.items():
            module.forward = rule
        yield
    finally:
        for module in rules:
            del module.forward  # the class's own forward is in force again
        for module in training:
            module.training = True
