"""What every pass shares: what it looks at, which results it gives, when a network is dead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.gradients import (
    Normalization,
    Parameters,
    Sink,
    per_sample_backward,
)


class DeadNetwork(Exception):
    """The network has no score: it cannot learn as it stands. The message says why, in one line."""


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


@dataclass(frozen=True)
class Subject:
    """What a pass looks at; it leaves all of it as it was.

    Attributes:
        network: maps images to logits (n, classes), or those of K candidates to (K n, classes).
        images: (n, C, H, W) on the network's device, in its dtype; n is 2 or more.
        labels: (n,) int64.
        normalization: statistics that batch-norm uses, for the passes that leave the choice.
        parameters: parameters that count.
        seed: from which a pass draws what it needs beside the images.
        thin: makes the same cells in a network as narrow and as short as it gets, for crops of
            the images (:data:`nas_search.passes.regions.THIN_IMAGE`), of all K candidates where
            the network is theirs; None where nobody knows how.
        precision: of the pass of per-sample gradients.
    """

    network: nn.Module
    images: Tensor
    labels: Tensor
    normalization: Normalization
    parameters: Parameters = "weights"
    seed: int = 0
    thin: Callable[[], nn.Module] | None = None
    precision: Precision = "fp32"


Pass = Callable[[Subject, frozenset[type]], Sequence[object]]
"""From a subject and the kinds of results that are wanted to one result of each."""

PASSES: dict[type, Pass] = {}
"""The pass that gives each kind of result."""

Outcome = Sequence[object] | Exception
"""Of one candidate: one result of each kind that is wanted, or why there is none."""

PassOfAll = Callable[[Subject, frozenset[type]], Sequence[Outcome]]
"""The same for a population network of K candidates: an outcome of each; an ordinary one is one."""

PASSES_OF_ALL: dict[type, PassOfAll] = {}
"""The pass over populations that gives each kind of result, where there is one."""

WHOLE: set[type] = set()
"""Kinds that look at what leads nowhere too: their population networks must have it."""


def collects(*kinds: type) -> Callable[[Pass], Pass]:
    """Register the decorated pass as the one that gives results of ``kinds``."""

    def register(run: Pass) -> Pass:
        PASSES.update(dict.fromkeys(kinds, run))
        return run

    return register


def collects_of_all(*kinds: type, whole: Iterable[type] = ()) -> Callable[[PassOfAll], PassOfAll]:
    """Register the decorated pass as the one that gives ``kinds`` for populations.

    It is the pass over ordinary networks too, where no other is registered.

    Args:
        kinds: kinds of results.
        whole: those of them that look at what leads nowhere too.
    """

    def register(run: PassOfAll) -> PassOfAll:
        PASSES_OF_ALL.update(dict.fromkeys(kinds, run))
        WHOLE.update(whole)
        alone = of_one(run)
        for kind in kinds:
            PASSES.setdefault(kind, alone)
        return run

    return register


def of_one(run: PassOfAll) -> Pass:
    """Return ``run`` as a pass over ordinary networks; it raises why there is no result."""

    def run_alone(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
        (outcome,) = run(subject, wanted)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return run_alone


def weighted_layers(network: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Return the convolutions and linear layers of ``network`` by name, in its order."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def mean_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of each candidate, (K,).

    Args:
        logits: (K n, classes) of K candidates.
        labels: (n,).
    """
    candidates = len(logits) // len(labels)
    losses = F.cross_entropy(logits, labels.repeat(candidates), reduction="none")
    return losses.view(candidates, -1).mean(1)


def logit_gradients(subject: Subject, sink: Sink, objective: Callable[[Tensor], Tensor]) -> Tensor:
    """Send every sample's gradients of a function of its logits to ``sink``, of all parameters.

    Args:
        subject: what the pass looks at.
        sink: receiver of the gradients.
        objective: from logits (K n, classes) to a sum of terms, one a sample.

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
