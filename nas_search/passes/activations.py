"""The pass of activation patterns: one forward pass that looks at which ReLUs are on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.gradients import normalised_network
from nas_search.passes.base import Subject, collects
from nas_search.passes.logits import check_logits
from nas_search.passes.structure import graph

_BITS = 62
"""Samples whose on/off states are packed into one 64-bit word."""


@dataclass(frozen=True)
class CodeAgreement:
    """How far two samples switch the same ReLUs.

    Attributes:
        kernel: (n, n) float64, number of units that are on for both samples or off for both; only
            ReLUs from which a path leads to the logits count.
        units: number of units.
    """

    kernel: Tensor
    units: int


@dataclass(frozen=True)
class PatternCount:
    """How many units are told apart by the samples that they are on for.

    Attributes:
        distinct: number of distinct columns of the (n, units) matrix of on/off states, over all
            ReLUs of feature maps.
    """

    distinct: int


@collects(CodeAgreement, PatternCount)
def activations(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Forward the batch and look at every ``nn.ReLU``.

    Raises:
        DeadNetwork: the logits are not finite or do not depend on the image.
    """
    counted = _reached(subject) if CodeAgreement in wanted else []
    n = len(subject.images)
    kernel = torch.zeros(n, n, dtype=torch.float64, device=subject.images.device)
    units = 0
    words: list[Tensor] = []
    call = 0

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal call, units
        on = inputs[0].flatten(1) > 0
        if CodeAgreement in wanted and counted[call]:
            signs = torch.where(on, 1.0, -1.0)  # s_i . s_j = agreeing - disagreeing units
            kernel.add_((signs @ signs.T).double().add_(on.shape[1]).div_(2))
            units += on.shape[1]
        if PatternCount in wanted and output.dim() == 4:
            words.append(_packed(on).unique(dim=1))
        call += 1

    statistics = normalised_network(subject.network, subject.normalisation)
    with _relu_hooks(subject.network, look), statistics, torch.no_grad():
        logits = subject.network(subject.images)
    check_logits(logits)
    results: list[object] = []
    if CodeAgreement in wanted:
        results.append(CodeAgreement(kernel, units))
    if PatternCount in wanted:
        distinct = torch.cat(words, 1).unique(dim=1).shape[1] if words else 0
        results.append(PatternCount(distinct))
    return results


def _packed(on: Tensor) -> Tensor:
    """Return the columns of ``on`` (n, units) as words, (ceil(n / 62), units) int64."""
    rows = []
    for some in on.split(_BITS):
        powers = 2 ** torch.arange(len(some), device=on.device)
        rows.append((some.long() * powers[:, None]).sum(0))
    return torch.stack(rows)


def _reached(subject: Subject) -> list[bool]:
    """Return for every call of a ReLU, in order, whether a path leads from it to the logits."""
    nodes: list[Any] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nodes.append(output.grad_fn)

    image = subject.images[:2].detach().requires_grad_()
    statistics = normalised_network(subject.network, subject.normalisation)
    with _relu_hooks(subject.network, note), statistics, torch.enable_grad():
        logits = subject.network(image)
    needed = set(graph(logits.grad_fn))
    return [node in needed for node in nodes]


@contextmanager
def _relu_hooks(network: nn.Module, hook: Any) -> Iterator[None]:
    """Let ``hook`` see every call of an ``nn.ReLU``."""
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    handles = [relu.register_forward_hook(hook) for relu in relus]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
