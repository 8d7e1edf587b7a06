"""Which way finds the per-sample gradients of a network, decided by a check of its first pass.

The check takes a few samples. It asks whether the way's logits are the network's own, whether the
samples' gradients, weighted by random numbers, sum to the ordinary gradient of the losses weighted
likewise, and whether no sample's loss depends on another sample. A layer that is not what it seems
(a forward of its own, a shared or masked weight, samples folded into the batch in another order)
fails it, and the next way is tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients.forwards import logits_of, normalized_network
from nas_search.gradients.one_by_one import losses_of
from nas_search.gradients.sinks import WeightedSumSink
from nas_search.layers.modes import Normalization
from nas_search.stacked.network import StackedNetwork

Way = Literal["rules", "calls", "one_by_one"]
"""How per-sample gradients are found.

``rules``
    modules of the book run by their rules; the calls of other modules are looked at where these
    have parameters or running statistics.
``calls``
    all calls are looked at, whatever module makes them.
``one_by_one``
    one backward pass per sample: exact for any network, some n times slower.
"""

CHECKED_SAMPLES = 5
"""Odd and small: rows that are folded in another order are unlikely to be a multiple of it."""

Objective = Callable[[Tensor, Tensor], Tensor]
_found: WeakKeyDictionary[nn.Module, dict[Normalization, Way]] = WeakKeyDictionary()


def way_of(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
) -> Way:
    """Return the cheapest way that is right for ``network``; checked once per network.

    Stacked networks are not checked: their spaces' tests compare them with ordinary ones.

    Raises:
        InputError: the samples depend on each other.
    """
    if isinstance(network, StackedNetwork):
        return "rules"
    known = _found.setdefault(network, {})
    if normalization not in known:
        known[normalization] = _checked(network, images, labels, normalization, objective)
    return known[normalization]


def trust(network: nn.Module, way: Way = "rules") -> nn.Module:
    """Take ``way`` for right without a check: for networks of a kind that was checked before."""
    _found[network] = dict.fromkeys(("sample", "frozen", "batch", "eval"), way)
    return network


def _checked(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
) -> Way:
    images, labels = images[:CHECKED_SAMPLES], labels[:CHECKED_SAMPLES]
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(len(images), generator=generator, dtype=torch.float64) + 0.5
    if normalization == "batch":  # there a sample has a share of the batch's gradient only
        weights = torch.ones_like(weights)
    weights = weights.to(images.device)
    logits, expected = _ordinary(network, images, labels, normalization, objective, weights)
    if normalization != "batch":
        _check_independence(network, images, labels, normalization, objective)
    if not all(gradient.isfinite().all() for gradient in expected.values()):
        return "rules"  # nothing to compare; the network has no score in any way
    reasons = []
    ways: tuple[Way, ...] = ("rules", "calls")
    for way in ways:
        try:
            seen, found = _by_way(network, images, labels, normalization, objective, weights, way)
            reason = _difference(logits, expected, seen, found)
        except (InputError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        if not reason:
            return way
        reasons.append(reason)
    warnings.warn(
        f"{type(network).__name__}: its per-sample gradients are computed by one backward pass per "
        f"sample, since no faster way is right for it ({reasons[-1]})",
        stacklevel=2,
    )
    return "one_by_one"


def _ordinary(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
    weights: Tensor,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and gradients of the weighted losses by the network's own forward."""
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
    with normalized_network(network, normalization, images), torch.enable_grad():
        logits = logits_of(network, images)
        if not logits.requires_grad:
            return logits.detach(), {}
        loss = (losses_of(objective, logits, labels) * weights.to(logits.dtype)).sum()
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    gradients = {
        name: gradient.to_dense()  # that of a table may be sparse
        for name, gradient in zip(parameters, found, strict=True)
        if gradient is not None
    }
    return logits.detach(), gradients


def _by_way(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
    weights: Tensor,
    way: Way,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the same from the per-sample gradients of ``way``."""
    from nas_search.gradients.backward import per_sample_backward

    sink = WeightedSumSink(weights)
    logits = per_sample_backward(
        network,
        images,
        labels,
        [sink],
        normalization=normalization,
        parameters="all",
        objective=objective,
        way=way,
    )
    return logits, sink.found.by_candidate(1)[0]


def _difference(
    logits: Tensor, expected: dict[str, Tensor], seen: Tensor, found: dict[str, Tensor]
) -> str:
    """Return what is not as expected, empty where nothing is."""
    tolerance = 3 * torch.finfo(logits.dtype).eps ** 0.5
    if seen.shape != logits.shape or not _close(seen, logits, tolerance, logits.norm().item()):
        return "its logits change when its layers run by their rules"
    largest = max((gradient.norm().item() for gradient in expected.values()), default=0.0)
    for name, gradient in expected.items():
        own = found.get(name, torch.zeros_like(gradient)).view_as(gradient)
        if not _close(own, gradient, tolerance, 0.1 * largest):
            return f"the samples' gradients of '{name}' do not sum to the batch's"
    return ""


def _close(value: Tensor, expected: Tensor, tolerance: float, scale: float) -> bool:
    allowed = tolerance * (expected.norm().item() + scale)
    return (value - expected).norm().item() <= allowed


def _check_independence(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
) -> None:
    """Refuse a network whose logits of one sample depend on another.

    Raises:
        InputError: they do.
    """
    message = (
        f"{type(network).__name__}: the logits of one sample depend on other samples, so there are "
        "no per-sample gradients; a layer mixes the samples of a batch"
    )
    if len(images) < 2:
        return
    if images.is_floating_point():
        own = images.detach().clone().requires_grad_()
        with normalized_network(network, normalization, own), torch.enable_grad():
            logits = logits_of(network, own)
            if not logits.requires_grad:
                return
            loss = losses_of(objective, logits, labels)[0]
            (gradient,) = torch.autograd.grad(loss, own, allow_unused=True)
        if gradient is not None and gradient[1:].abs().max() > 1e-6 * gradient.abs().max():
            raise InputError(message)
        return
    with normalized_network(network, "eval", images), torch.no_grad():
        together, alone = logits_of(network, images), logits_of(network, images[:1])
    tolerance = 3 * torch.finfo(together.dtype).eps ** 0.5
    if not _close(together[:1], alone, tolerance, alone.norm().item()):
        raise InputError(message)
