"""Scores of any torch network, without a search space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import Objective, cross_entropy
from nas_search.gradients.counting import Count, uncounted_remark
from nas_search.layers.modes import Normalization, Parameters
from nas_search.passes import Facts
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.scoring.formula import number
from nas_search.scoring.measure import Measuring, measure_stack
from nas_search.scoring.rounds import by_normalization
from nas_search.scoring.samples import check_samples, run_once


class Scores(dict[str, float]):
    """Scores by name; NaN where a network has none.

    Attributes:
        reasons: one line per missing score that says why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}

    def take(self, record: ProxyRecord, measurement: Measurement, unfit: str) -> None:
        """Add the score of ``record``, or NaN and the reason: that it is ``unfit``, or fails."""
        value, reason = math.nan, unfit
        if not unfit:
            try:
                value = number(record.score(measurement))
                reason = "" if math.isfinite(value) else f"the score is {value}"
            except Exception as error:  # a pass or a formula that does not apply to this network
                lines = str(error).strip().splitlines()
                reason = lines[0] if lines else type(error).__name__
        self[record.name] = math.nan if reason else value
        if reason:
            self.reasons[record.name] = reason


def score(
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    proxies: str | Sequence[str] = ("gradalign",),
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
        proxies: name or names of single scores (``python -m nas_search.rank --help`` lists them).
        loss: from the logits and ``labels``, or from the logits alone where there are no labels, to
            the samples' own losses (n,); by default cross-entropy.
        normalization: statistics of batch-norm; None means those of each score's definition.
        parameters: parameters that count.
        seed: from which scores draw the noise that some of them use.

    Returns:
        The scores, higher is better. Of ``flops``, a warning names the functions of the network
        whose multiplications it lacks.

    Raises:
        InputError: a score does not exist, or the input does not fit: the network cannot run on it,
            or its labels are no classes of it.
    """
    records = [PROXIES.get(name) for name in ([proxies] if isinstance(proxies, str) else proxies)]
    check_samples(network, images)
    labels, objective = _target(images, labels, loss)
    devices = [] if images.device.type == "cpu" else [images.device]
    with (
        torch.random.fork_rng(devices, device_type=images.device.type),
        torch.autocast(images.device.type, enabled=False),
    ):
        cost, logits = run_once(network, images)
        if loss is None:
            _check_classes(labels, logits)
        return _scores(
            network, images, labels, records, cost, objective, normalization, parameters, seed
        )


def _scores(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    records: Sequence[ProxyRecord],
    cost: Count,
    objective: Objective,
    normalization: Normalization | None,
    parameters: Parameters,
    seed: int,
) -> Scores:
    facts = Facts(cost.params, cost.macs, type(network).__name__, seed)
    if cost.uncounted and any(record.name == "flops" for record in records):
        warnings.warn(f"flops: {uncounted_remark(cost.uncounted)}", stacklevel=3)
    scores = Scores()
    for statistics, group in by_normalization(records, normalization).items():
        kinds = tuple(dict.fromkeys(kind for record in group for kind in record.needs))
        how = Measuring(statistics, parameters, seed)
        (measurement,) = measure_stack(
            lambda form: network, images, labels, how, kinds, [facts], objective, refuse=False
        )
        for record in group:
            scores.take(record, measurement, record.unfit(images, labels))
    return scores


def _target(
    images: Tensor, labels: Tensor | None, loss: Callable[..., Tensor] | None
) -> tuple[Tensor, Objective]:
    """Return the labels, or numbers in their place, and the loss of logits and labels."""
    if len(images) < 2:
        raise InputError(f"scores compare samples with each other: 2 or more, got {len(images)}")
    if labels is None:
        if loss is None:
            raise InputError("give labels, or a loss of the logits: loss=f with f(logits) (n,)")
        alone = loss
        return torch.arange(len(images), device=images.device), lambda logits, _: alone(logits)
    if not isinstance(labels, Tensor):
        raise InputError(f"labels are a {type(labels).__name__}; give a tensor")
    if len(labels) != len(images):
        raise InputError(f"{len(images)} images have {len(labels)} labels; give one per image")
    return labels, loss or cross_entropy


def _check_classes(labels: Tensor, logits: Tensor) -> None:
    if logits.dim() != 2 or labels.is_floating_point():  # soft labels, or one class per position
        return
    classes = logits.shape[1]
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise InputError(
            f"labels are {str(labels.dtype).removeprefix('torch.')} of shape {tuple(labels.shape)};"
            " give one int64 class per sample, or a loss of your own: loss=f"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"labels lie in [{int(labels.min())}, {int(labels.max())}] and the network has "
            f"{classes} logits: classes are 0 to {classes - 1}"
        )
