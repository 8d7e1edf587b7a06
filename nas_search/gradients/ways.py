"""Which way finds the per-sample gradients of a network, decided by a check of its first pass.

The check takes a few samples. It asks whether the way's logits are the network's own, whether the
samples' gradients, weighted by random numbers, sum to the ordinary gradient of what they are
gradients of, weighted likewise, and whether no sample's logits depend on another sample. A layer
that is not what it seems (a forward of its own, a shared or masked weight, samples folded into the
batch in another order) fails it, and the next way is tried. In place of a loss stands the product
of the logits with random numbers, and weights near zero are replaced meanwhile: behind a branch
that begins at zero nothing could be seen.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from nas_search.core.errors import InputError
from nas_search.gradients.counted import structure_of
from nas_search.gradients.forwards import gradients_kept, logits_of, normalized_network
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

NOT_FINITE = "its gradients are not finite"
CHECKED_SAMPLES = 3
"""As few as have a middle one, whose neighbors it is seen without."""

SMALL = 1e-2
"""Parameters none of which is larger are replaced during the check."""

Ways = dict[tuple[Normalization, int], Way]
"""By normalization and the number of samples of the check."""

_found: WeakKeyDictionary[nn.Module, tuple[object, Ways]] = WeakKeyDictionary()


def way_of(network: nn.Module, images: Tensor, normalization: Normalization) -> Way:
    """Return the cheapest way that is right for ``network``; checked once per network.

    Modules, parameters or plain attributes that changed are checked anew. Stacked networks are not
    checked: their spaces' tests compare them with ordinary ones.

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
    key = normalization, min(len(images), CHECKED_SAMPLES)
    if key in known:
        return known[key]
    way, sure = _checked(network, images, normalization)
    if sure:
        known[key] = way
    return way


_of_kind: WeakKeyDictionary[nn.Module, Ways] = WeakKeyDictionary()
_kinds: dict[Hashable, Ways] = {}


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


def _checked(network: nn.Module, images: Tensor, normalization: Normalization) -> tuple[Way, bool]:
    """Return the way, and whether anything could be seen of it."""
    if any(isinstance(p, UninitializedParameter) for p in network.parameters()):
        raise InputError(
            f"{type(network).__name__} has parameters without a shape; run it once before"
        )
    for name, module in network.named_modules():
        if getattr(module, "scale_grad_by_freq", False):
            raise InputError(
                f"'{name}' weighs gradients by how often a token occurs in the whole batch, so "
                "there are no per-sample gradients; set its scale_grad_by_freq to False"
            )
    case = _Case(network, images[:CHECKED_SAMPLES].clone(), normalization)
    with _small_parameters_replaced(network):
        way, reason = _right_way(case)
        if way is None and (double := case.in_double()) is not None:
            with suppress(RuntimeError, TypeError):  # rounding alone, where they nearly cancel?
                way, reason = _right_way(double)
    if way is not None:
        return way, reason != NOT_FINITE
    warnings.warn(
        f"{type(network).__name__}: its per-sample gradients are computed by one backward pass per "
        f"sample, since no faster way is right for it ({reason})",
        stacklevel=2,
    )
    return "one_by_one", True


@contextmanager
def _small_parameters_replaced(network: nn.Module) -> Iterator[None]:
    """Let parameters near zero be random numbers of ordinary size meanwhile."""
    generator = torch.Generator().manual_seed(0)
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        for parameter in network.parameters():
            values = parameter.detach()
            if not values.is_floating_point() or not values.numel() or values.abs().max() > SMALL:
                continue
            kept.append((values, values.clone()))
            shape = values.shape
            random = torch.rand(shape, generator=generator) + 0.5
            if len(shape) > 1:  # as large as the weights of a layer are
                random = torch.randn(shape, generator=generator) / values[0].numel() ** 0.5
            values.copy_(random)
        yield
    finally:
        for values, own in kept:
            values.copy_(own)


class _Case(NamedTuple):
    """A network and the few samples that it is checked with."""

    network: nn.Module
    images: Tensor
    normalization: Normalization

    def losses(self, logits: Tensor, _: Tensor | None = None) -> Tensor:
        """Return the products of each sample's logits with random numbers, (n,)."""
        generator = torch.Generator().manual_seed(1)
        shape = logits.shape[1:]
        factors = torch.randn(shape, generator=generator, dtype=torch.float64).to(logits)
        return (logits * factors).flatten(1).sum(1) if shape else logits * factors

    def in_double(self) -> _Case | None:
        """Return the case in double precision, to tell rounding; None where that is impossible."""
        if self.images.dtype != torch.float32 or self.images.device.type == "mps":
            return None
        with suppress(RuntimeError, TypeError):
            network = copy.deepcopy(self.network).double()
            return self._replace(network=network, images=self.images.double())
        return None

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
    if case.images._version:
        raise InputError(
            f"{type(case.network).__name__} changes its input in place, so a second pass would see "
            "other samples; let it begin with x = x.clone()"
        )
    if case.normalization != "batch" and len(case.images) > 1:
        _check_independence(case, logits)
    if not all(gradient.isfinite().all() for gradient in expected.values()):
        return "rules", NOT_FINITE  # nothing to compare
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
        losses = case.losses(logits)
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
        torch.zeros(len(case.images), device=case.images.device),
        [sink],
        normalization=case.normalization,
        parameters="all",
        objective=case.losses,
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
        # Gradients that nearly cancel are rounding of the largest one, some hundred of its last
        # digits: tolerance^2 is nine of them.
        if not _close(own, gradient, tolerance, 10 * tolerance * largest):
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
    if _independent(case, logits):
        return
    # A deep network without statistics of its own magnifies rounding, up to all that there is.
    double = case.in_double()
    if double is not None:
        with suppress(RuntimeError, TypeError):
            if _independent(double, _ordinary(double)[0]):
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


def _independent(case: _Case, logits: Tensor) -> bool:
    apart = slice(1, None, 2)  # samples without their neighbors
    if case.normalization == "frozen":  # there the statistics are those of the batch, rightly
        logits = _logits_alone(case, slice(None))
    some = _logits_alone(case, apart)
    tolerance = 3 * torch.finfo(some.dtype).eps ** 0.5
    close = _close(some, logits[apart], tolerance, some.norm().item())
    return close or not bool(some.isfinite().all())


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
