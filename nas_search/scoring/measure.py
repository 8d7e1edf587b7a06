"""From a network and a probe batch to a measurement, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.gradients import (
    NORMALISATIONS,
    PARAMETERS,
    GramSink,
    Normalisation,
    Parameters,
    per_sample_backward,
)
from nas_search.proxies import Measurement

CONSTANT = 1000
"""Logits that differ between samples by less than this many roundings of their size are constant.

Global pooling of maps that per-sample batch-norm has just centred gives zero but for rounding, and
so do the gradients: cosines of rounding errors look like the least conflict of all.
"""


@dataclass(frozen=True)
class Measuring:
    """How a measurement is taken; part of the definition of every score.

    Attributes:
        normalisation: batch-norm statistics, see :data:`nas_search.gradients.Normalisation`.
        parameters: parameters that count, see :data:`nas_search.gradients.Parameters`.
    """

    normalisation: Normalisation = "sample"
    parameters: Parameters = "weights"

    def __post_init__(self) -> None:
        for key, known in (("normalisation", NORMALISATIONS), ("parameters", PARAMETERS)):
            if getattr(self, key) not in known:
                raise InputError(
                    f"unknown proxy.{key} '{getattr(self, key)}'; possible: {', '.join(known)}"
                )


class DeadNetwork(Exception):
    """The network has no score: it cannot learn as it stands. The message says why, in one line."""


def measure(
    network: nn.Module, images: Tensor, labels: Tensor, how: Measuring | None = None
) -> Measurement:
    """Return what one forward and one backward pass tell of ``network``.

    Args:
        network: maps images to logits (n, classes); left as it was found.
        images: (n, C, H, W) on the network's device, in its dtype; n is 2 or more.
        labels: (n,) int64.
        how: how to measure, by default :class:`Measuring`'s defaults.

    Returns:
        The measurement; its tensors stay on the network's device.

    Raises:
        DeadNetwork: logits or gradients are not finite, logits do not depend on the image, or no
            weight receives gradient.
        InputError: a layer cannot be measured that way, see
            :func:`nas_search.gradients.per_sample_backward`.
    """
    how = how or Measuring()
    sink = GramSink()
    logits = per_sample_backward(
        network,
        images,
        labels,
        [sink],
        normalisation=how.normalisation,
        parameters=how.parameters,
    )
    reached = [name for name, _ in network.named_parameters() if name in sink.grams]
    if not reached:
        raise DeadNetwork("no weight receives gradient")
    grams = torch.stack([sink.grams[name] for name in reached]).double()
    constant = CONSTANT * torch.finfo(logits.dtype).eps * logits.abs().max()
    spread = (logits - logits[0]).abs().max() > constant
    traces = grams.diagonal(dim1=1, dim2=2).sum(1)
    # One transfer to the host for all that must be known there.
    finite, varies, *trace = torch.cat(
        [logits.isfinite().all()[None], spread[None], traces]
    ).tolist()
    if not finite or not all(value < float("inf") for value in trace):
        raise DeadNetwork("logits or gradients are not finite")
    if not varies:
        raise DeadNetwork("the logits do not depend on the image")
    # What a later batch-norm undoes has no gradient but rounding: it says nothing of the network.
    rounding = (10 * torch.finfo(images.dtype).eps) ** 2 * max(trace)
    alive = [index for index, value in enumerate(trace) if value > rounding]
    if not alive:
        raise DeadNetwork("no weight receives gradient")
    if len(alive) < len(reached):
        grams = grams[alive]
    return Measurement(tuple(reached[index] for index in alive), grams)
