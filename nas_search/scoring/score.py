"""Scores of any torch network, without a search space."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import forwards_replaced
from nas_search.gradients.counting import count_network
from nas_search.layers.modes import Normalization, Parameters
from nas_search.passes import Facts
from nas_search.passes.base import Loss, cross_entropy
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.scoring.formula import number
from nas_search.scoring.measure import Measuring, measure_stack
from nas_search.scoring.rounds import by_normalization


class Scores(dict[str, float]):
    """Scores by name; NaN where a network has none.

    Attributes:
        reasons: one line per missing score that says why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}

    def take(self, record: ProxyRecord, measurement: Measurement) -> None:
        """Add the score of ``record``, or NaN and the reason."""
        try:
            value = number(record.score(measurement))
            reason = "" if math.isfinite(value) else f"the score is {value}"
        except Exception as error:  # a pass or a formula that does not apply to this network
            lines = str(error).strip().splitlines()
            value, reason = math.nan, lines[0] if lines else type(error).__name__
        self[record.name] = math.nan if reason else value
        if reason:
            self.reasons[record.name] = reason


def score(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    proxies: Sequence[str] = ("gradalign",),
    *,
    loss: Callable[..., Tensor] | None = None,
    normalization: Normalization | None = None,
    parameters: Parameters = "weights",
    seed: int = 0,
) -> Scores:
    """Score ``network`` as it is: its weights are not drawn anew, and it is left as it was found.

    Scores were defined for networks at initialization, and some for networks with batch-norm and
    ReLU; what a definition does not apply to is NaN. The number of samples is that of ``images``,
    whatever a definition prescribes. Residual branches that begin at zero (a last batch-norm of
    scale 0, a skip gain of 0) hide the weights behind them from every score that uses gradients.

    Args:
        network: maps samples to logits, (n, classes). Samples must not depend on each other.
        images: (n, ...) images or tokens on the network's device, images in its dtype; 2 or more.
        labels: (n,) int64 in [0, classes), of at least two classes; or (n, ...), whatever ``loss``
            takes. Without classes, scores that contrast them take each sample for one of its own.
        proxies: names of single scores (``python -m nas_search.rank --help`` lists them).
        loss: from the logits and ``labels``, or from the logits alone where there are no labels, to
            the samples' own losses (n,); by default cross-entropy.
        normalization: statistics of batch-norm; None means those of each score's definition.
        parameters: parameters that count.
        seed: from which scores draw the noise that some of them use.

    Returns:
        The scores, higher is better.

    Raises:
        InputError: a score does not exist, or the input does not fit.
    """
    records = [PROXIES.get(name) for name in proxies]
    labels, objective = _target(images, labels, loss)
    device = next((p.device for p in network.parameters()), images.device)
    if images.device != device:
        raise InputError(f"the network is on {device} and the images on {images.device}")
    with forwards_replaced(network, {}):
        cost = count_network(network, images[:1])
    facts = Facts(cost.params, cost.macs, type(network).__name__, seed)
    scores = Scores()
    for statistics, group in by_normalization(records, normalization).items():
        kinds = tuple(dict.fromkeys(kind for record in group for kind in record.needs))
        how = Measuring(statistics, parameters, seed)
        (measurement,) = measure_stack(
            lambda form: network, images, labels, how, kinds, [facts], objective, refuse=False
        )
        for record in group:
            scores.take(record, measurement)
    return scores


def _target(
    images: Tensor, labels: Tensor | None, loss: Callable[..., Tensor] | None
) -> tuple[Tensor, Loss]:
    """Return the labels, or numbers in their place, and the loss of logits and labels."""
    if len(images) < 2:
        raise InputError(f"scores compare samples with each other: 2 or more, got {len(images)}")
    if labels is None:
        if loss is None:
            raise InputError("give labels, or a loss of the logits: loss=f with f(logits) (n,)")
        alone = loss
        return torch.arange(len(images), device=images.device), lambda logits, _: alone(logits)
    if len(labels) != len(images):
        raise InputError(f"{len(images)} images have {len(labels)} labels; give one per image")
    return labels, loss or cross_entropy
