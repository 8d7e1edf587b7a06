"""The pass of synaptic flow: one image of ones through the network of absolute weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nas_search.gradients import PerCandidate, StackedParameters
from nas_search.passes.base import PASSES, DeadNetwork, Outcome, Pass, Subject
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class SynapticFlow:
    """What flows from an image of ones to the logits.

    Attributes:
        flows: sum |theta dR/dtheta| of each convolution and linear layer that is reached, with R
            the sum of the logits; float64, for it grows to 1e61.
    """

    flows: dict[str, float]


def let_synapses_flow(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Run with absolute parameters in float64, batch-norms left out.

    A candidate is dead if nothing flows.
    """
    candidates = len(candidates_of(subject.network))
    own = StackedParameters(subject.network, values=lambda values: values.abs().double())
    ones = torch.ones_like(subject.images[:1], dtype=torch.float64)
    flows = PerCandidate()
    with own.in_place(None, ones):
        gradients = own.gradients(subject.network(ones).sum())
    for use, gradient in gradients.items():
        flows.add(*use, (own.values[use].detach() * gradient).abs().flatten(1).sum(1))
    return [_outcome(of_one) for of_one in flows.on_host(candidates)]


def _outcome(flows: dict[str, float]) -> Outcome:
    if not flows:
        return DeadNetwork("no weight receives gradient")
    if not any(flows.values()):
        return DeadNetwork("the logits do not depend on the image")
    return [SynapticFlow({name.removesuffix(".weight"): flow for name, flow in flows.items()})]


PASSES.add(Pass(name="synflow", run=let_synapses_flow, provides=(SynapticFlow,)))
