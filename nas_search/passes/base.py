"""The contract of a pass: what it looks at, what it returns, and the registry of all passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.core.registry import Registry
from nas_search.gradients import (
    Normalization,
    Objective,
    Parameters,
    Sink,
    cross_entropy,
    per_sample_backward,
)


class DeadNetwork(Exception):
    """The network has no score: it cannot learn as it stands. The message is one line: why."""


@dataclass(frozen=True)
class Facts:
    """What is known of a candidate without running its network.

    Attributes:
        params: number of trainable parameters, as built (dead branches count).
        macs: multiply-accumulates of convolutions and linear layers for one image.
        key: canonical form of the genotype.
        seed: the run's seed.
        draw: number of the draw of initial weights within the run.
    """

    params: int
    macs: int
    key: str
    seed: int = 0
    draw: int = 0


Form = Literal["none", "pruned", "complete", "narrow"]
"""Form of the network that a pass runs.

``none``
    no network: the pass reads the candidates' :class:`Facts`.
``pruned``
    the network, possibly without the branches from which no path leads to the logits.
``complete``
    the network with all of its branches.
``narrow``
    the same cells in the narrowest and shortest network of the space, with all of their branches,
    for images of :data:`NARROW_IMAGE`.

An ordinary network is always complete.
"""

NARROW_IMAGE = (1, 5, 5)
"""Channels, height and width of the images that narrow networks take: the smallest that the spaces'
skeletons do."""


@dataclass(frozen=True)
class Subject:
    """What a pass looks at; it leaves all of it as it was.

    Attributes:
        network: runs K candidates, an ordinary network K = 1; maps images (n, C, H, W) to logits
            (K n, classes). It has the form that the pass asks for; an ``nn.Identity`` for ``none``.
        images: (n, C, H, W) on the network's device, in its dtype; n is 2 or more.
        labels: (n,) int64, or (n, ...) whatever ``loss`` takes.
        normalization: statistics of batch-norm, for passes that do not prescribe their own.
        parameters: parameters that count.
        seed: seed of whatever a pass draws.
        precision: of the pass of per-sample gradients.
        facts: of each of the K candidates; None where there is a network and nothing else.
        loss: loss that is differentiated.
        kinds: all kinds of results that are wanted of the measurement, from whichever pass.
        shared: what an earlier pass found out about the same network and leaves to later ones.
    """

    network: nn.Module
    images: Tensor
    labels: Tensor
    normalization: Normalization
    parameters: Parameters = "weights"
    seed: int = 0
    precision: Precision = "fp32"
    facts: tuple[Facts | None, ...] = (None,)
    loss: Objective = cross_entropy
    kinds: frozenset[type] = frozenset()
    shared: dict[type, Any] = field(default_factory=dict, compare=False)

    @property
    def classes(self) -> Tensor:
        """(n,) classes of the samples; without labels of classes, each sample is its own."""
        if self.labels.dim() == 1 and not self.labels.is_floating_point():
            return self.labels
        return torch.arange(len(self.labels), device=self.labels.device)


@dataclass(frozen=True)
class Missing:
    """In place of one result among others: why there is none of this kind."""

    kind: type
    reason: Exception


Outcome = Sequence[object] | Exception
"""Of one candidate: one result of each kind that is wanted (or a :class:`Missing` in its place), or
why there is none at all."""


@dataclass(frozen=True)
class Pass:
    """One way to look at a network of K candidates (an ordinary network is K = 1).

    Attributes:
        name: its name in the registry.
        run: from a subject and the wanted ones of the kinds in ``provides`` to one outcome per
            candidate, in their order. An exception that it raises, other than ``InputError``, is
            the outcome of one candidate; with several, each is measured alone.
        provides: kinds of results that it gives; no other pass gives them.
        network: form of the network that it runs.
        early: whether it runs before others, since it leaves them what it found out.
    """

    name: str
    run: Callable[[Subject, frozenset[type]], Sequence[Outcome]]
    provides: tuple[type, ...]
    network: Form = "pruned"
    early: bool = False


PASSES: Registry[Pass] = Registry("pass", "nas_search.passes")


def pass_of(kind: type) -> Pass:
    """Return the registered pass that provides results of ``kind``.

    Raises:
        InputError: there is none, or more than one.
    """
    providers = [one for one in PASSES if kind in one.provides]
    if len(providers) != 1:
        names = ", ".join(one.name for one in providers) or "none"
        raise InputError(
            f"one registered pass must provide {kind.__name__}; those that do: {names}"
        )
    return providers[0]


def weighted_layers(network: nn.Module) -> dict[str, nn.Conv1d | nn.Conv2d | nn.Linear]:
    """Return the convolutions and linear layers of ``network`` by name, in its order."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)
    }


def mean_losses(logits: Tensor, labels: Tensor, loss: Objective = cross_entropy) -> Tensor:
    """Return the mean loss of each candidate, (K,).

    Args:
        logits: (K n, ...) of K candidates.
        labels: (n, ...).
        loss: gives the samples' own losses.
    """
    candidates = len(logits) // len(labels)
    repeated = labels if candidates == 1 else labels.repeat(candidates)
    losses = loss(logits, repeated)
    return losses.view(candidates, -1).mean(1)


def logit_gradients(subject: Subject, sink: Sink, objective: Callable[[Tensor], Tensor]) -> Tensor:
    """Send every sample's gradients of a function of its logits to ``sink``, of all parameters.

    Args:
        subject: what the pass looks at.
        sink: receiver of the gradients.
        objective: from logits (K n, classes) to a sum of terms, one per sample.

    Returns:
        The logits, (K n, classes).
    """
    return per_sample_backward(
        subject.network,
        subject.images,
        subject.labels,
        [sink],
        normalization=subject.normalization,
        parameters="all",
        objective=lambda logits, labels: objective(logits),
    )
