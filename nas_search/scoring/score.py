"""Scores of any torch network, without a search space."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import forwards_replaced
from nas_search.gradients.counting import count_network
from nas_search.layers.modes import Normalization, Parameters
from nas_search.passes import Facts
from nas_search.proxies import PROXIES, ProxyRecord
from nas_search.scoring.measure import Measuring, measure_stack


class Scores(dict[str, float]):
    """Scores by name; NaN where a network has none.

    Attributes:
        reasons: one line per missing score that says why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}


def score(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    proxies: Sequence[str] = ("gradalign",),
    *,
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
        labels: (n,) int64 in [0, classes); at least two different ones.
        proxies: names of single scores (``python -m nas_search.rank --help`` lists them).
        normalization: statistics of batch-norm; None means those of each score's definition.
        parameters: parameters that count.
        seed: from which scores draw the noise that some of them use.

    Returns:
        The scores, higher is better.

    Raises:
        InputError: a score does not exist, or the input does not fit.
    """
    records = [PROXIES.get(name) for name in proxies]
    _check(images, labels)
    device = next((p.device for p in network.parameters()), images.device)
    if images.device != device:
        raise InputError(f"the network is on {device} and the images on {images.device}")
    with forwards_replaced(network, {}):
        cost = count_network(network, images[:1])
    facts = Facts(cost.params, cost.macs, type(network).__name__, seed)
    scores = Scores()
    for statistics, group in _by_normalization(records, normalization).items():
        kinds = tuple(dict.fromkeys(kind for record in group for kind in record.needs))
        how = Measuring(statistics, parameters, seed)
        (measurement,) = measure_stack(lambda form: network, images, labels, how, kinds, [facts])
        for record in group:
            try:
                value, reason = record.score(measurement), "the score is not finite"
            except Exception as error:  # a pass or a formula that does not apply to this network
                lines = str(error).strip().splitlines()
                value, reason = math.nan, lines[0] if lines else type(error).__name__
            scores[record.name] = value if math.isfinite(value) else math.nan
            if not math.isfinite(value):
                scores.reasons[record.name] = reason
    return scores


def _check(images: Tensor, labels: Tensor) -> None:
    if len(images) < 2:
        raise InputError(f"scores compare samples with each other: 2 or more, got {len(images)}")
    if len(labels) != len(images):
        raise InputError(f"{len(images)} images have {len(labels)} labels; give one per image")


def _by_normalization(
    records: Sequence[ProxyRecord], normalization: Normalization | None
) -> dict[Normalization, list[ProxyRecord]]:
    """Group records by statistics; those that depend on none join the first group."""
    groups: dict[Normalization, list[ProxyRecord]] = {}
    for record in sorted(records, key=lambda record: record.normalization is None):
        statistics: Normalization = next(iter(groups), "batch")
        if record.normalization is not None:
            statistics = normalization or record.normalization
        groups.setdefault(statistics, []).append(record)
    return groups
