"""When a network has no score: logits or gradients that are constant, or rounding errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from nas_search.passes.base import DeadNetwork, Outcome


def constant_below(dtype: torch.dtype) -> float:
    """Return the share of their size by which logits must differ between samples, or be constant.

    Global pooling of maps that per-sample batch-norm has just centered gives zero but for rounding,
    and so do the gradients: cosines of rounding errors look like the least conflict of all. A
    batch-norm of values that are equal but for rounding makes this up to 316 times larger
    (1 / sqrt(1e-5)), and the next one again: the root of a rounding is above what is left.
    """
    return math.sqrt(torch.finfo(dtype).eps)


def where_alive(logits: Tensor, results: Sequence[Outcome]) -> list[Outcome]:
    """Return each candidate's result, or that it is dead by its logits.

    It is dead if they are not finite or do not depend on the image.

    Args:
        logits: (K n, classes) of K candidates.
        results: of each of them.
    """
    faults = logits_faults(logits.unflatten(0, (len(results), -1)))
    return [
        DeadNetwork(fault) if fault else result
        for fault, result in zip(faults, results, strict=True)
    ]


def logits_faults(logits: Tensor) -> list[str]:
    """Return what is wrong with each network's logits, empty where nothing is.

    Args:
        logits: (K, n, classes) of K networks, or (K, n, positions, classes).
    """
    return faults_of(logits_flags(logits).tolist())


def logits_flags(logits: Tensor) -> Tensor:
    """Return whether each network's logits are finite, and whether they vary, (K, 2).

    Args:
        logits: as :func:`logits_faults` takes them.
    """
    logits = logits.flatten(2)
    largest = logits.abs().amax((1, 2))
    spread = (logits - logits[:, :1]).abs().amax((1, 2))
    varies = spread > constant_below(logits.dtype) * largest
    return torch.stack([logits.isfinite().flatten(1).all(1), varies], 1)


def faults_of(flags: Iterable[Sequence[float]]) -> list[str]:
    """Return what the rows of :func:`logits_flags` mean, empty where nothing is wrong."""
    return [
        "logits or gradients are not finite"
        if not is_finite
        else ""
        if does_vary
        else "the logits do not depend on the image"
        for is_finite, does_vary in flags
    ]


def beyond_rounding(
    parameters: Iterable[str], squares: Mapping[str, float], eps: float
) -> tuple[str, ...]:
    """Return those of ``parameters`` whose gradient is more than rounding, in their order.

    What a later batch-norm undoes has no gradient but rounding: it says nothing of the network.

    Args:
        parameters: names.
        squares: squared norm of each one's gradient; none where it received none.
        eps: rounding of the precision that the gradients were computed in.

    Raises:
        DeadNetwork: there is none, or a gradient is not finite.
    """
    total = {name: squares[name] for name in parameters if name in squares}
    if not total:
        raise DeadNetwork("no weight receives gradient")
    if not all(value < float("inf") for value in total.values()):
        raise DeadNetwork("logits or gradients are not finite")
    rounding = (10 * eps) ** 2 * max(total.values())
    alive = tuple(name for name, value in total.items() if value > rounding)
    if not alive:
        raise DeadNetwork("no weight receives gradient")
    return alive
