"""The passes of activation patterns: a forward pass that looks at which ReLUs are on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import normalized_network
from nas_search.passes.base import PASSES, Outcome, Pass, Subject
from nas_search.passes.dead import where_alive
from nas_search.passes.hooks import RELUS, hooked
from nas_search.passes.maps import map_dimensions
from nas_search.passes.paths import find_paths
from nas_search.stacked.candidates import candidates_of

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


def compare_codes(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward the batch and compare the samples' states of every ``nn.ReLU`` on a path.

    A candidate is dead if its logits are not finite or do not depend on the image.
    """
    candidates, n = candidates_of(subject.network), len(subject.images)
    on_path = iter(_relus_on_paths(subject))
    kernels = subject.images.new_zeros(len(candidates), n, n, dtype=torch.float64)
    units = torch.zeros(len(candidates), dtype=torch.int64, device=kernels.device)

    def look(on: Tensor, members: Tensor) -> None:
        counts = next(on_path)
        signs = torch.where(on, 1.0, -1.0)  # s_i . s_j = agreeing - disagreeing units
        agreeing = (signs @ signs.mT).double().add_(on.shape[2]).div_(2)
        kernels.index_add_(0, members, agreeing * counts[:, None, None])
        units.index_add_(0, members, on.shape[2] * counts)

    logits = _forward(subject, look)
    pairs = zip(kernels, units.tolist(), strict=True)
    return where_alive(logits, [[CodeAgreement(kernel, count)] for kernel, count in pairs])


def count_patterns(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward the batch and count the patterns of every ``nn.ReLU`` of feature maps.

    A candidate is dead if its logits are not finite or do not depend on the image.

    Raises:
        InputError: no ReLU sees a feature map.
    """
    candidates = len(candidates_of(subject.network))
    words: list[Tensor] = []

    def look(on: Tensor, members: Tensor) -> None:
        words.append(_packed(on, members).unique(dim=1))

    logits = _forward(subject, look, maps_alone=True)
    if not words:
        name = type(subject.network).__name__
        raise InputError(f"no nn.ReLU of {name} sees a feature map (n, C, H, W) or (n, C, L)")
    return where_alive(logits, [[PatternCount(count)] for count in _distinct(words, candidates)])


def _forward(
    subject: Subject, look: Callable[[Tensor, Tensor], None], maps_alone: bool = False
) -> Tensor:
    """Return the logits; let ``look`` see the states of every call of a ReLU, in order.

    They are (k, n, units) booleans and the numbers (k,) of the candidates; with ``maps_alone``
    those of feature maps.
    """
    candidates, n = candidates_of(subject.network), len(subject.images)
    maps = map_dimensions(subject.network)

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.dim() in maps or not maps_alone:
            on = inputs[0].unflatten(0, (len(candidates.active), n)).flatten(2) > 0
            look(on, torch.tensor(candidates.active, device=on.device))

    statistics = normalized_network(subject.network, subject.normalization)
    with _relu_hooks(subject.network, note), statistics, torch.no_grad():
        logits: Tensor = subject.network(subject.images)
    return logits


def _packed(on: Tensor, members: Tensor) -> Tensor:
    """Return the columns of each candidate's ``on`` (k, n, units) as words.

    Returns:
        (1 + ceil(n / 62), k units) int64; the first row is the number of the column's candidate.
    """
    rows = [members[:, None].expand(-1, on.shape[2])]
    for some in on.split(_BITS, dim=1):
        powers = 2 ** torch.arange(some.shape[1], device=on.device)
        rows.append((some.long() * powers[:, None]).sum(1))
    return torch.stack(rows).flatten(1)


def _distinct(words: list[Tensor], candidates: int) -> list[int]:
    """Return how many distinct columns each candidate has."""
    owners = torch.cat(words, 1).unique(dim=1)[0]
    counts: list[int] = owners.bincount(minlength=candidates).tolist()
    return counts


def _relus_on_paths(subject: Subject) -> Sequence[Tensor]:
    """Return for every call of a ReLU, in order, for which candidates a path leads to the logits.

    One of k flags per candidate that the call sees. Paths begin in the image or in a weight.
    """
    calls = find_paths(subject.network, subject.images, RELUS).calls
    flags = [call.from_any for call in calls if isinstance(call.module, RELUS)]
    if not flags:
        return ()
    on_device = torch.from_numpy(np.concatenate(flags)).to(subject.images.device)
    by_call: Sequence[Tensor] = on_device.split([len(some) for some in flags])
    return by_call


def _relu_hooks(network: nn.Module, hook: Callable[..., None]) -> AbstractContextManager[None]:
    """Let ``hook`` see every call of an ``nn.ReLU``.

    Raises:
        InputError: there is none.
    """
    relus = [module for module in network.modules() if isinstance(module, RELUS)]
    if not relus:
        raise InputError(
            f"{type(network).__name__} has no nn.ReLU or ReLU6, whose states count here"
        )
    return hooked(relu.register_forward_hook(hook) for relu in relus)


PASSES.add(Pass(name="activation_codes", run=compare_codes, provides=(CodeAgreement,)))
PASSES.add(
    Pass(
        name="activation_patterns",
        run=count_patterns,
        provides=(PatternCount,),
        network="complete",
    )
)
