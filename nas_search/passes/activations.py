"""The pass of activation patterns: one forward pass that looks at which ReLUs are on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.gradients import normalized_network
from nas_search.passes.base import (
    DeadNetwork,
    Outcome,
    Subject,
    collects_of_all,
)
from nas_search.passes.dead import logits_faults
from nas_search.passes.reachability import calls_on_paths
from nas_search.passes.structure import graph
from nas_search.stacked.candidates import candidates_of
from nas_search.stacked.network import StackedNetwork

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


@collects_of_all(CodeAgreement, PatternCount, whole=(PatternCount,))
def activations_of_all(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward the batch and look at every ``nn.ReLU``.

    A candidate is dead whose logits are not finite or do not depend on the image. Patterns are
    counted at dead branches too: a population network must have them.
    """
    rows = candidates_of(subject.network)
    candidates, n = len(rows.all), len(subject.images)
    counted = iter(_counted(subject) if CodeAgreement in wanted else ())
    kernels = subject.images.new_zeros(candidates, n, n, dtype=torch.float64)
    units = torch.zeros(candidates, dtype=torch.int64, device=kernels.device)
    words: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        on = inputs[0].unflatten(0, (len(rows.active), n)).flatten(2) > 0
        members = torch.tensor(rows.active, device=on.device)
        if CodeAgreement in wanted:
            counts = next(counted)
            signs = torch.where(on, 1.0, -1.0)  # s_i . s_j = agreeing - disagreeing units
            agreeing = (signs @ signs.mT).double().add_(on.shape[2]).div_(2)
            kernels.index_add_(0, members, agreeing * counts[:, None, None])
            units.index_add_(0, members, on.shape[2] * counts)
        if PatternCount in wanted and output.dim() == 4:
            words.append(_packed(on, members).unique(dim=1))

    statistics = normalized_network(subject.network, subject.normalization)
    with _relu_hooks(subject.network, look), statistics, torch.no_grad():
        logits = subject.network(subject.images)
    results: list[list[object]] = [[] for _ in rows.all]
    if CodeAgreement in wanted:
        for found, kernel, count in zip(results, kernels, units.tolist(), strict=True):
            found.append(CodeAgreement(kernel, count))
    if PatternCount in wanted:
        for found, distinct in zip(results, _distinct(words, candidates), strict=True):
            found.append(PatternCount(distinct))
    faults = logits_faults(logits.unflatten(0, (candidates, n)))
    return [
        DeadNetwork(fault) if fault else found for fault, found in zip(faults, results, strict=True)
    ]


def _packed(on: Tensor, members: Tensor) -> Tensor:
    """Return the columns of each candidate's ``on`` (k, n, units) as words.

    Returns:
        (1 + ceil(n / 62), k units) int64; the first row says whose column it is.
    """
    rows = [members[:, None].expand(-1, on.shape[2])]
    for some in on.split(_BITS, dim=1):
        powers = 2 ** torch.arange(some.shape[1], device=on.device)
        rows.append((some.long() * powers[:, None]).sum(1))
    return torch.stack(rows).flatten(1)


def _distinct(words: list[Tensor], candidates: int) -> list[int]:
    """Return how many distinct columns each candidate has."""
    if not words:
        return [0] * candidates
    return torch.cat(words, 1).unique(dim=1)[0].bincount(minlength=candidates).tolist()


def _counted(subject: Subject) -> list[Tensor]:
    """Return for every call of a ReLU, in order, of which candidates a path leads to the logits.

    One of k flags for each candidate that the call sees. Paths begin in the image or in a weight.
    """
    network = subject.network
    if isinstance(network, StackedNetwork):
        calls = calls_on_paths(network, subject.images[:1], (nn.ReLU,))
        return [call.from_any for call in calls]
    nodes: list[Any] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nodes.append(output.grad_fn)

    image = subject.images[:2].detach().requires_grad_()
    statistics = normalized_network(network, subject.normalization)
    with _relu_hooks(network, note), statistics, torch.enable_grad():
        logits = network(image)
    needed = set(graph(logits.grad_fn))
    return [torch.tensor([node in needed], device=image.device) for node in nodes]


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
