"""The pass of per-sample gradients: one forward, one backward, whatever is reduced from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from nas_search.gradients import (
    FactorSink,
    GramSink,
    NormSink,
    SignSink,
    Sink,
    SumSink,
    per_sample_backward,
)
from nas_search.passes.base import DeadNetwork, Subject, collects, weighted_layers
from nas_search.passes.logits import check_logits


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
        return normalised(self.grams.sum(0))

    @cached_property
    def layer_cosines(self) -> Tensor:
        """(L, n, n) cosines K_l between the per-sample gradients of each parameter alone."""
        return normalised(self.grams)

    @cached_property
    def layer_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`layer_cosines`, ascending; they sum to n in each row."""
        return torch.linalg.eigvalsh(self.layer_cosines)


def normalised(gram: Tensor) -> Tensor:
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
        return torch.linalg.eigvalsh(self.inputs)

    @cached_property
    def error_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`errors`, ascending; they sum to n in each row."""
        return torch.linalg.eigvalsh(self.errors)


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


@collects(Grams, LayerFactors, Signs, BatchGradient, ChannelFisher)
def per_sample(subject: Subject, wanted: frozenset[type]) -> Sequence[object]:
    """Run the one backward pass and reduce every gradient to all that is ``wanted``.

    Raises:
        DeadNetwork: logits or gradients are not finite, logits do not depend on the image, or no
            weight receives gradient.
        InputError: a layer cannot be measured that way, see
            :func:`nas_search.gradients.per_sample_backward`.
    """
    network, n = subject.network, len(subject.images)
    grams, norms, signs, sums = GramSink(), NormSink(), SignSink(), SumSink()
    factors = FactorSink()
    sinks: list[Sink] = [grams if Grams in wanted else norms]
    sinks += [factors] if LayerFactors in wanted else []
    sinks += [signs] if Signs in wanted else []
    sinks += [sums] if BatchGradient in wanted else []
    fisher: dict[str, Tensor] = {}
    with _channels_seen(network, fisher) if ChannelFisher in wanted else _nothing():
        logits = per_sample_backward(
            network,
            subject.images,
            subject.labels,
            sinks,
            normalisation=subject.normalisation,
            parameters=subject.parameters,
        )
    check_logits(logits)
    alive = _alive(subject, grams.squares() if Grams in wanted else norms.squares())
    results: list[object] = []
    if Grams in wanted:
        results.append(Grams(alive, torch.stack([grams.grams[name] for name in alive]).double()))
    if LayerFactors in wanted:
        results.append(_layer_factors(subject, alive, factors))
    if Signs in wanted:
        agreement = [signs.agreement[name] for name in alive]
        sizes = [network.get_parameter(name).numel() for name in alive]
        results.append(Signs(torch.stack(agreement), torch.tensor(sizes).to(agreement[0])))
    if BatchGradient in wanted:
        weights = {name: network.get_parameter(name).detach() for name in alive}
        gradients = {name: sums.sums[name].view_as(w) / n for name, w in weights.items()}
        results.append(BatchGradient(weights, gradients))
    if ChannelFisher in wanted:
        fan_in = [network.get_parameter(f"{name}.weight")[0].numel() for name in fisher]
        results.append(ChannelFisher(tuple(fisher.values()), tuple(fan_in)))
    return results


def _layer_factors(subject: Subject, alive: Sequence[str], factors: FactorSink) -> LayerFactors:
    layers = tuple(name for name in alive if name in factors.grams)
    if not layers:
        raise DeadNetwork("no weight receives gradient")
    inputs, errors = (torch.stack([factors.grams[name][k] for name in layers]) for k in (0, 1))
    sizes = [subject.network.get_parameter(name).numel() for name in layers]
    return LayerFactors(
        layers,
        normalised(inputs.double()),
        normalised(errors.double()),
        torch.tensor(sizes, dtype=torch.float64, device=inputs.device),
        subject.labels,
    )


def _alive(subject: Subject, squares: dict[str, Tensor]) -> tuple[str, ...]:
    """Return the parameters whose gradient is more than rounding, in the network's order.

    What a later batch-norm undoes has no gradient but rounding: it says nothing of the network.
    """
    reached = [name for name, _ in subject.network.named_parameters() if name in squares]
    if not reached:
        raise DeadNetwork("no weight receives gradient")
    # One transfer to the host for all that must be known there.
    total: list[float] = torch.stack([squares[name] for name in reached]).tolist()
    if not all(value < float("inf") for value in total):
        raise DeadNetwork("logits or gradients are not finite")
    rounding = (10 * torch.finfo(subject.images.dtype).eps) ** 2 * max(total)
    alive = tuple(name for name, value in zip(reached, total, strict=True) if value > rounding)
    if not alive:
        raise DeadNetwork("no weight receives gradient")
    return alive


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _channels_seen(network: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """Fill ``found`` with each layer's channel saliency when the backward pass reaches it."""

    def reduce(name: str, output: Tensor, error: Tensor) -> None:
        # The pass differentiates the summed loss: 1/n of its gradient is the mean loss's.
        product = (output * error).flatten(2).sum(2) if output.dim() > 2 else output * error
        found[name] = (product / len(output)).square().mean(0) / 2

    def hook(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(partial(reduce, name, output.detach()))

    handles = [
        layer.register_forward_hook(partial(hook, name))
        for name, layer in weighted_layers(network).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
