"""From a network and a probe batch to a measurement: every pass that is needed, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from nas_search.core.device import PRECISIONS, Precision
from nas_search.core.errors import InputError
from nas_search.gradients import (
    NORMALIZATIONS,
    PARAMETERS,
    Normalization,
    Parameters,
)
from nas_search.passes import PASSES, DeadNetwork, Facts, Grams, Pass, Subject
from nas_search.proxies import Measurement

__all__ = ["DeadNetwork", "Measuring", "attempt", "measure"]


@dataclass(frozen=True)
class Measuring:
    """How a measurement is taken; part of the definition of every score.

    Attributes:
        normalization: batch-norm statistics, see :data:`nas_search.gradients.Normalization`.
        parameters: parameters that count, see :data:`nas_search.gradients.Parameters`.
        seed: from which passes draw what they need beside the images.
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
    thin: Callable[[], nn.Module] | None = None,
) -> Measurement:
    """Return results of ``kinds``; kinds that come from the same pass share it.

    Args:
        network: maps images to logits (n, classes); left as it was found.
        images: (n, C, H, W) on the network's device, in its dtype; n is 2 or more.
        labels: (n,) int64.
        how: how to measure, by default :class:`Measuring`'s defaults.
        kinds: kinds of results, see :mod:`nas_search.passes`; by default the Gram matrices.
        facts: what is known of the candidate beside its network; handed on.
        thin: makes the network's thin form, see :class:`nas_search.passes.Subject`.

    Returns:
        The measurement; its tensors stay on the network's device.

    Raises:
        DeadNetwork: the network has no score, see the passes.
        InputError: a layer cannot be measured that way.
    """
    kinds = tuple(kinds)
    measurement = attempt(network, images, labels, how, kinds, facts, thin)
    for kind in kinds:
        measurement[kind]
    return measurement


def attempt(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    how: Measuring | None = None,
    kinds: Iterable[type] = (Grams,),
    facts: Facts | None = None,
    thin: Callable[[], nn.Module] | None = None,
) -> Measurement:
    """Return what of ``kinds`` can be measured; arguments as for :func:`measure`.

    A pass that fails takes nothing from the others: asked for a result of it, the measurement
    raises what the pass did.

    Raises:
        InputError: a layer cannot be measured that way.
    """
    how = how or Measuring()
    subject = Subject(
        network,
        images,
        labels,
        how.normalization,
        how.parameters,
        how.seed,
        thin,
        how.precision,
    )
    wanted: dict[Pass, set[type]] = {}
    for kind in kinds:
        if kind is not Facts:
            wanted.setdefault(PASSES[kind], set()).add(kind)
    results: list[object] = [] if facts is None else [facts]
    failures: dict[type, Exception] = {}
    for run, of_it in wanted.items():
        try:
            results += run(subject, frozenset(of_it))
        except InputError:
            raise
        except Exception as error:  # dead in this pass, or out of memory, or a defect of the pass
            # Without its traceback, whose frames would hold the pass's tensors.
            failures.update(dict.fromkeys(of_it, error.with_traceback(None)))
    return Measurement(*results, failures=failures)
