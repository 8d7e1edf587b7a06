"""The pass of per-sample gradients: one forward, one backward, whatever is reduced from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from nas_search.gradients import (
    FactorSink,
    GramSink,
    NormSink,
    PerCandidate,
    SignSink,
    Sink,
    SumSink,
    per_sample_backward,
    way_of,
)
from nas_search.passes.base import (
    PASSES,
    DeadNetwork,
    Missing,
    Outcome,
    Pass,
    Subject,
    weighted_layers,
)
from nas_search.passes.dead import beyond_rounding, logits_faults
from nas_search.passes.hooks import hooked
from nas_search.passes.paths import Paths, Watch, begin_paths
from nas_search.passes.structure import Depth, LiveParameters
from nas_search.stacked.candidates import Candidates, Members, candidates_of


@dataclass(frozen=True)
class Grams:
    """Gram matrices of per-sample gradients.

    Attributes:
        layers: names of the L parameters that received gradient, in the network's order.
        grams: (L, n, n) Gram matrices G_l of the n per-sample gradients of each, float64.
    """

    layers: tuple[str, ...]
    grams: Tensor

    @cached_property
    def cosines(self) -> Tensor:
        """(n, n) cosines K between whole per-sample gradients; ones on the diagonal."""
        return normalized(self.grams.sum(0))

    @cached_property
    def layer_cosines(self) -> Tensor:
        """(L, n, n) cosines K_l between the per-sample gradients of each parameter alone."""
        return normalized(self.grams)

    @cached_property
    def layer_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`layer_cosines`, ascending; they sum to n in each row."""
        return _eigenvalues(self.layer_cosines)


def normalized(gram: Tensor) -> Tensor:
    """Return cosines from Gram matrices (..., n, n): G_ij / sqrt(G_ii G_jj).

    A sample without gradient has no direction: its row and column are zero, its diagonal too.
    """
    norms = gram.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    inverse = torch.where(norms > 0, 1 / norms, torch.zeros_like(norms))
    return gram * inverse[..., :, None] * inverse[..., None, :]


@dataclass(frozen=True)
class LayerFactors:
    """What the per-sample gradients of each weight are made of.

    A weight's gradient is made of what enters its layer and of the gradient that comes back to what
    leaves it: for a linear layer their outer product.

    Attributes:
        layers: names of the L weights that received gradient, in the network's order.
        inputs: (L, n, n) cosines between the samples' inputs to each layer, float64.
        errors: (L, n, n) cosines between the gradients of the samples' losses with respect to each
            layer's output, float64.
        sizes: (L,) number of elements of each weight, float64.
        labels: (n,) classes of the samples.
    """

    layers: tuple[str, ...]
    inputs: Tensor
    errors: Tensor
    sizes: Tensor
    labels: Tensor

    @cached_property
    def input_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`inputs`, ascending; they sum to n in each row."""
        return _eigenvalues(self.inputs)

    @cached_property
    def error_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`errors`, ascending; they sum to n in each row."""
        return _eigenvalues(self.errors)


@dataclass(frozen=True)
class Signs:
    """Agreement of the signs of per-sample gradients.

    Attributes:
        agreement: (L,) sum over the elements k of each parameter of |sum_i sign(dl_i/dtheta_k)|.
        sizes: (L,) number of elements of each parameter that received gradient.
    """

    agreement: Tensor
    sizes: Tensor


@dataclass(frozen=True)
class BatchGradient:
    """The gradient of the batch's mean loss: the mean of the samples' (shares of) gradients.

    Attributes:
        weights: the parameters that received gradient, by name.
        gradients: the gradient of each.
    """

    weights: dict[str, Tensor]
    gradients: dict[str, Tensor]


@dataclass(frozen=True)
class ChannelFisher:
    """Saliency of the channels of every convolution's and linear layer's output.

    Attributes:
        layers: for each layer that receives gradient, (O,): 1/2 mean_i (sum_hw a dL/da)^2 with a
            the output (n, O, H, W) and L the batch's mean loss.
        weights: number of weights of one output channel of each of these layers.
    """

    layers: tuple[Tensor, ...]
    weights: tuple[int, ...]


def reduce_per_sample_gradients(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Run the one backward pass and reduce every gradient to all that is ``wanted``.

    A candidate is dead if its logits or gradients are not finite, its logits do not depend on the
    image, or none of its weights receives gradient.

    Raises:
        InputError: a layer cannot be measured that way, see
            :func:`nas_search.gradients.per_sample_backward`.
    """
    network = subject.network
    stack = candidates_of(network)
    grams, norms, signs, sums = GramSink(), NormSink(), SignSink(), SumSink()
    factors = FactorSink()
    sinks: list[Sink] = [grams if Grams in wanted else norms]
    sinks += [factors] if LayerFactors in wanted else []
    sinks += [signs] if Signs in wanted else []
    sinks += [sums] if BatchGradient in wanted else []
    fisher = PerCandidate()
    # Before any hook: the check of a network's first pass runs it several times.
    way = way_of(network, subject.images, subject.normalization)
    with (
        _channels_seen(network, stack, fisher) if ChannelFisher in wanted else nullcontext(),
        _paths_left(subject) as images,
    ):
        logits = per_sample_backward(
            network,
            images,
            subject.labels,
            sinks,
            normalization=subject.normalization,
            parameters=subject.parameters,
            precision=subject.precision,
            objective=subject.loss,
            way=way,
        )
    candidates = len(stack)
    faults = logits_faults(logits.unflatten(0, (candidates, -1)))
    squares = (grams if Grams in wanted else norms).squares.on_host(candidates)
    found = {
        Grams: grams.found.by_candidate(candidates),
        LayerFactors: factors.found.by_candidate(candidates),
        Signs: signs.found.by_candidate(candidates),
        BatchGradient: sums.found.by_candidate(candidates),
        ChannelFisher: fisher.by_candidate(candidates),
    }
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    eps = torch.finfo(logits.dtype).eps
    outcomes: list[Outcome] = []
    for candidate in range(candidates):
        own = {kind: of_all[candidate] for kind, of_all in found.items()}
        try:
            if faults[candidate]:
                raise DeadNetwork(faults[candidate])
            alive = beyond_rounding(weights, squares[candidate], eps)
            results = _results(wanted, alive, weights, own, subject.classes)
            if LayerFactors in wanted and subject.parameters == "weights":
                results = _complete(results, alive)
            outcomes.append(results)
        except DeadNetwork as dead:
            outcomes.append(dead)
    if LayerFactors in wanted:
        _decompose([o for o in outcomes if not isinstance(o, Exception)])
    return outcomes


def _eigenvalues(matrices: Tensor) -> Tensor:
    """Return the eigenvalues (..., n), ascending, of symmetric matrices (..., n, n)."""
    values: Tensor = torch.linalg.eigvalsh(matrices)
    return values


def _decompose(results: Sequence[Sequence[object]]) -> None:
    """Compute the eigenvalues of all candidates' factors at once: one call of the library."""
    factors = [one for own in results for one in own if isinstance(one, LayerFactors)]
    if not factors:
        return
    matrices = [cosines for one in factors for cosines in (one.inputs, one.errors)]
    try:
        values = _eigenvalues(torch.cat(matrices)).split([len(m) for m in matrices])
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # public, not so marked
        return  # each computes its own when it is asked: whoever's cannot be computed fails alone
    for one, inputs, errors in zip(factors, values[::2], values[1::2], strict=True):
        vars(one).update(input_eigenvalues=inputs, error_eigenvalues=errors)


def _results(
    wanted: frozenset[type],
    alive: tuple[str, ...],
    weights: dict[str, Tensor],
    found: dict[type, dict[str, Tensor]],
    labels: Tensor,
) -> list[object]:
    """Return one result of each ``wanted`` kind from what the sinks ``found`` of one candidate."""
    results: list[object] = []
    if Grams in wanted:
        results.append(Grams(alive, torch.stack([found[Grams][name] for name in alive]).double()))
    if LayerFactors in wanted:
        results.append(_layer_factors(alive, weights, found[LayerFactors], labels))
    if Signs in wanted:
        agreement = torch.stack([found[Signs][name] for name in alive])
        sizes = torch.tensor([weights[name].numel() for name in alive])
        results.append(Signs(agreement, sizes.to(agreement)))
    if BatchGradient in wanted:
        own = {name: weights[name] for name in alive}
        gradients = {
            name: found[BatchGradient][name].view_as(w) / len(labels) for name, w in own.items()
        }
        results.append(BatchGradient(own, gradients))
    if ChannelFisher in wanted:
        layers = found[ChannelFisher]
        fan_in = [weights[f"{name}.weight"][0].numel() for name in layers]
        results.append(ChannelFisher(tuple(layers.values()), tuple(fan_in)))
    return results


def _complete(results: list[object], alive: tuple[str, ...]) -> list[object]:
    """Return the results, without factors where those of a weight are unknown."""
    complete = []
    for result in results:
        if isinstance(result, LayerFactors):
            without = next((name for name in alive if name not in result.layers), None)
            if without is not None:
                unknown = ValueError(f"what enters and leaves the layer of '{without}' is unknown")
                result = Missing(LayerFactors, unknown)
        complete.append(result)
    return complete


def _layer_factors(
    alive: tuple[str, ...], weights: dict[str, Tensor], found: dict[str, Tensor], labels: Tensor
) -> LayerFactors | Missing:
    layers = tuple(name for name in alive if name in found)
    if not layers:  # weights have gradients, but none that a layer of the book found
        unknown = ValueError("what enters and leaves its layers is unknown: no layer rule was used")
        return Missing(LayerFactors, unknown)
    cosines = normalized(torch.stack([found[name] for name in layers]).double())
    sizes = torch.tensor([weights[name].numel() for name in layers], dtype=torch.float64)
    return LayerFactors(layers, cosines[:, 0], cosines[:, 1], sizes.to(labels.device), labels)


@contextmanager
def _paths_left(subject: Subject) -> Iterator[Tensor]:
    """Leave the network's paths to later passes that want them: its graph is made here anyway.

    Yields:
        The images to run it on.
    """
    tokens = not subject.images.is_floating_point()  # tables that do not count have no graph here
    if tokens or subject.kinds.isdisjoint((Depth, LiveParameters)):
        yield subject.images
        return
    images = begin_paths(subject.images)
    kinds = (nn.Module,) if LiveParameters in subject.kinds else ()
    with Watch(subject.network, kinds) as watch:
        yield images
    subject.shared[Paths] = Paths(subject.network, watch, images)


def _channels_seen(
    network: nn.Module, candidates: Candidates, found: PerCandidate
) -> AbstractContextManager[None]:
    """Fill ``found`` with each layer's channel saliency when the backward pass reaches it."""

    def reduce(name: str, members: Members, output: Tensor, error: Tensor) -> None:
        product = (output * error).flatten(2).sum(2) if output.dim() > 2 else output * error
        own = product.unflatten(0, (len(members), -1))
        # The pass differentiates the summed loss: 1/n of its gradient is the mean loss's.
        found.add(name, members, (own / own.shape[1]).square().mean(1) / 2)

    def hook(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(partial(reduce, name, candidates.active, output.detach()))

    return hooked(
        layer.register_forward_hook(partial(hook, name))
        for name, layer in weighted_layers(network).items()
    )


PASSES.add(
    Pass(
        name="per_sample",
        run=reduce_per_sample_gradients,
        provides=(Grams, LayerFactors, Signs, BatchGradient, ChannelFisher),
        early=True,
    )
)
