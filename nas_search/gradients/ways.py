"""Which way finds the per-sample gradients of a network, decided by a check of its first pass.

The check takes a few samples. It asks whether the way's logits are the network's own, whether the
samples' gradients, weighted by random numbers, sum to the ordinary gradient of the losses weighted
likewise, and whether no sample's loss depends on another sample. A layer that is not what it seems
(a forward of its own, a shared or masked weight, samples folded into the batch in another order)
fails it, and the next way is tried.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients.counted import structure_of
from nas_search.gradients.forwards import gradients_kept, logits_of, normalized_network
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

CHECKED_SAMPLES = 3
"""As few as have a middle one, whose neighbors it is seen without."""

Objective = Callable[[Tensor, Tensor], Tensor]
_found: WeakKeyDictionary[nn.Module, tuple[object, dict[Normalization, Way]]] = WeakKeyDictionary()


def way_of(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
) -> Way:
    """Return the cheapest way that is right for ``network``; checked once per network.

    Changed modules or parameters are checked anew. Stacked networks are not checked: their spaces'
    tests compare them with ordinary ones.

    Raises:
        InputError: the samples depend on each other, or the network is random.
    """
    if isinstance(network, StackedNetwork):
        return "rules"
    known = _of_kind.get(network)
    if known is None:
        earlier, known = _found.get(network, (None, {}))
        structure = structure_of(network)
        if earlier != structure:
            known = {}
            _found[network] = structure, known
    if normalization not in known:
        known[normalization] = _checked(network, images, labels, normalization, objective)
    return known[normalization]


_of_kind: WeakKeyDictionary[nn.Module, dict[Normalization, Way]] = WeakKeyDictionary()
_kinds: dict[Hashable, dict[Normalization, Way]] = {}


def of_kind(network: nn.Module, kind: Hashable) -> nn.Module:
    """Let networks of one ``kind`` share one check: the first of them is checked for all.

    Args:
        network: must not be changed any more.
        kind: equal for networks that use their parameters alike, e.g. those of a search space that
            are made of the same classes of modules.

    Returns:
        ``network`` itself.
    """
    _of_kind[network] = _kinds.setdefault(kind, {})
    return network


def _checked(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalization: Normalization,
    objective: Objective,
) -> Way:
    case = _Case(
        network, images[:CHECKED_SAMPLES], labels[:CHECKED_SAMPLES], normalization, objective
    )
    way, reason = _right_way(case)
    if way is None and images.dtype == torch.float32 and images.device.type != "mps":
        with suppress(RuntimeError, TypeError):  # rounding alone, where gradients nearly cancel?
            double = copy.deepcopy(network).double()
            precise = case._replace(network=double, images=case.images.double())
            way, reason = _right_way(precise)
    if way is not None:
        return way
    warnings.warn(
        f"{type(network).__name__}: its per-sample gradients are computed by one backward pass per "
        f"sample, since no faster way is right for it ({reason})",
        stacklevel=2,
    )
    return "one_by_one"


class _Case(NamedTuple):
    """A network and the few samples that it is checked with."""

    network: nn.Module
    images: Tensor
    labels: Tensor
    normalization: Normalization
    objective: Objective

    @property
    def weights(self) -> Tensor:
        """One random weight per sample, (n,) float64."""
        if self.normalization == "batch":  # a sample has a share of the batch's gradient only
            weights = torch.ones(len(self.images), dtype=torch.float64)
        else:
            generator = torch.Generator().manual_seed(0)
            weights = torch.rand(len(self.images), generator=generator, dtype=torch.float64) + 0.5
        return weights.to(self.images.device)


def _right_way(case: _Case) -> tuple[Way | None, str]:
    """Return the first way that is right, and what is wrong with the last that is not."""
    logits, expected = _ordinary(case)
    if case.normalization != "batch" and len(case.images) > 1:
        _check_independence(case, logits)
    if not all(gradient.isfinite().all() for gradient in expected.values()):
        return "rules", ""  # nothing to compare; the network has no score in any way
    reason = ""
    ways: tuple[Way, ...] = ("rules", "calls")
    for way in ways:
        try:
            with gradients_kept(case.network):
                reason = _difference(logits, expected, *_by_way(case, way))
        except (InputError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        if not reason:
            return way, ""
    return None, reason


def _ordinary(case: _Case) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and gradients of the weighted losses by the network's own forward.

    Raises:
        InputError: the logits are not one row per sample.
    """
    network, images = case.network, case.images
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
    with (
        normalized_network(network, case.normalization, calls=True),
        torch.enable_grad(),
    ):
        logits = logits_of(network, images)
        if not logits.dim() or len(logits) != len(images):
            raise InputError(
                f"{type(network).__name__} returns logits of shape {tuple(logits.shape)} for "
                f"{len(images)} samples; it must return one row per sample"
            )
        if not logits.requires_grad:
            return logits.detach(), {}
        losses = losses_of(case.objective, logits, case.labels)
        loss = (losses * case.weights.to(losses.dtype)).sum()
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    gradients = {
        name: gradient.to_dense()  # that of a table may be sparse
        for name, gradient in zip(parameters, found, strict=True)
        if gradient is not None
    }
    return logits.detach(), gradients


def _by_way(case: _Case, way: Way) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the same from the per-sample gradients of ``way``."""
    from nas_search.gradients.backward import per_sample_backward

    sink = WeightedSumSink(case.weights)
    logits = per_sample_backward(
        case.network,
        case.images,
        case.labels,
        [sink],
        normalization=case.normalization,
        parameters="all",
        objective=case.objective,
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
    allowed: float = tolerance * (expected.norm().item() + scale)
    distance: float = (value - expected).norm().item()
    return distance <= allowed


def _check_independence(case: _Case, logits: Tensor) -> None:
    """Refuse a network whose logits of one sample depend on another.

    Args:
        case: the network and its samples.
        logits: those of all samples with the statistics of the case.

    Raises:
        InputError: they do, or they are random.
    """
    apart = slice(1, None, 2)  # samples without their neighbors
    if case.normalization == "frozen":  # there the statistics are those of the batch, rightly
        logits = _logits_alone(case, slice(None))
    some = _logits_alone(case, apart)
    tolerance = 3 * torch.finfo(some.dtype).eps ** 0.5
    if _close(some, logits[apart], tolerance, some.norm().item()) or not some.isfinite().all():
        return
    name = type(case.network).__name__
    again = (_logits_alone(case, slice(None)) for _ in range(2))
    if not torch.equal(*again):
        raise InputError(
            f"{name}: the logits of the same samples differ from pass to pass, even in evaluation; "
            "a layer draws random numbers (e.g. F.dropout without training=self.training)"
        )
    raise InputError(
        f"{name}: the logits of one sample depend on other samples, so there are no per-sample "
        "gradients; a layer mixes the samples of a batch, or takes its first dimension for another"
    )


def _logits_alone(case: _Case, samples: slice) -> Tensor:
    images = case.images[samples]
    modes: tuple[Normalization | None, ...] = (case.normalization,)
    if case.normalization == "frozen":
        modes = ("eval", None)
    for mode in modes[:-1]:
        with (
            suppress(InputError),
            normalized_network(case.network, mode, calls=True),
            torch.no_grad(),
        ):
            return logits_of(case.network, images)
    with normalized_network(case.network, modes[-1], calls=True), torch.no_grad():
        return logits_of(case.network, images)
