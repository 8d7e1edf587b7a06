"""From networks and a probe batch to measurements: every pass that is needed, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from nas_search.core.device import PRECISIONS, Precision
from nas_search.core.errors import InputError
from nas_search.gradients import (
    NORMALIZATIONS,
    PARAMETERS,
    Normalization,
    Parameters,
)
from nas_search.passes import Facts, Form, Outcome, Pass, Subject, pass_of
from nas_search.passes.base import Loss, Missing, cross_entropy
from nas_search.passes.per_sample import Grams
from nas_search.proxies import Measurement
from nas_search.scoring.formula import failure

Networks = Callable[[Form], nn.Module]
"""Gives the network of K candidates in the form that a pass asks for."""


@dataclass(frozen=True)
class Measuring:
    """How a measurement is taken; part of the definition of every score.

    Attributes:
        normalization: batch-norm statistics, see :data:`nas_search.gradients.Normalization`.
        parameters: parameters that count, see :data:`nas_search.gradients.Parameters`.
        seed: seed of what passes draw.
        precision: of the arithmetic, see :data:`nas_search.core.device.Precision`.
    """

    normalization: Normalization = "sample"
    parameters: Parameters = "weights"
    seed: int = 0
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        for key, given, known in (
            ("proxy.normalization", self.normalization, NORMALIZATIONS),
            ("proxy.parameters", self.parameters, PARAMETERS),
            ("precision", self.precision, PRECISIONS),
        ):
            if given not in known:
                raise InputError(f"unknown {key} '{given}'; possible: {', '.join(known)}")


def measure(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    how: Measuring | None = None,
    kinds: Iterable[type] = (Grams,),
    facts: Facts | None = None,
) -> Measurement:
    """Measure one network; kinds of results that come from the same pass share it.

    Args:
        network: maps images to logits (n, classes); left as it was found. Every pass runs it as it
            is, whatever form it asks for.
        images: (n, C, H, W) on the network's device, in its dtype; n is 2 or more.
        labels: (n,) int64.
        how: how to measure, by default :class:`Measuring`'s defaults.
        kinds: kinds of results, see :mod:`nas_search.passes`; by default the Gram matrices.
        facts: what is known of the candidate beside its network.

    Returns:
        The measurement; its tensors stay on the network's device.

    Raises:
        DeadNetwork: the network has no score, see the passes.
        InputError: a layer cannot be measured that way.
    """
    kinds = tuple(kinds)
    how = how or Measuring()
    (measurement,) = measure_stack(lambda form: network, images, labels, how, kinds, [facts])
    for kind in kinds:
        measurement[kind]  # raises why it is missing
    return measurement


def measure_stack(
    networks: Networks,
    images: Tensor,
    labels: Tensor,
    how: Measuring,
    kinds: Iterable[type],
    facts: Sequence[Facts | None],
    loss: Loss = cross_entropy,
    refuse: bool = True,
) -> list[Measurement]:
    """Measure every kind that can be measured, of each of K candidates.

    A failing pass does not affect the others: asked for its results, the measurement raises what
    the pass did.

    Args:
        networks: gives the network of all K candidates.
        images: (n, C, H, W), the same for every candidate, on the device and in the dtype of the
            networks; n is 2 or more.
        labels: (n,) int64.
        how: how to measure.
        kinds: kinds of results.
        facts: what is known of each of the K candidates beside its network.
        loss: loss that is differentiated.
        refuse: whether a pass that no network of this kind can be given to is an error, not a
            failure like any other.

    Raises:
        InputError: a layer cannot be measured that way.
        Exception: with K > 1, whatever one of them made a pass, or building a network, raise.
    """
    kinds = tuple(kinds)
    wanted: dict[Pass, set[type]] = {}
    for kind in kinds:
        wanted.setdefault(pass_of(kind), set()).add(kind)
    subject = Subject(
        nn.Identity(),
        images,
        labels,
        how.normalization,
        how.parameters,
        how.seed,
        how.precision,
        tuple(facts),
        loss,
        frozenset(kinds),
    )
    results: list[list[object]] = [[] for _ in facts]
    failures: list[dict[type, Exception]] = [{} for _ in facts]
    for one, some in sorted(wanted.items(), key=lambda item: not item[0].early):
        for number, outcome in enumerate(
            _outcomes(one, frozenset(some), networks, subject, refuse)
        ):
            if isinstance(outcome, Exception):
                failures[number] |= dict.fromkeys(some, outcome)
            else:
                missing = [one for one in outcome if isinstance(one, Missing)]
                failures[number] |= {one.kind: one.reason for one in missing}
                results[number] += [one for one in outcome if not isinstance(one, Missing)]
    return [Measurement(*own, failures=why) for own, why in zip(results, failures, strict=True)]


def _outcomes(
    one: Pass, wanted: frozenset[type], networks: Networks, subject: Subject, refuse: bool
) -> Sequence[Outcome]:
    """Run a pass on the form of the network that it asks for."""
    try:
        if one.network != "none":
            subject = replace(subject, network=networks(one.network))
        outcomes = one.run(subject, wanted)
    except (Exception, SystemExit) as error:  # dead, or out of memory, or a defect of the pass
        if refuse and isinstance(error, InputError):
            raise
        if len(subject.facts) > 1:  # measured alone, they show whose failure it is
            raise
        return [failure(error)]
    if len(outcomes) != len(subject.facts):
        raise InputError(
            f"pass '{one.name}' gave {len(outcomes)} outcomes for {len(subject.facts)} candidates"
        )
    return outcomes
