"""The pass of per-sample gradients: one forward, one backward, whatever is reduced from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

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
from nas_search.passes.base import PASSES, Outcome, Pass, Subject, weighted_layers
from nas_search.passes.hooks import hooked
from nas_search.passes.paths import Paths, Watch, begin_paths
from nas_search.passes.sample_results import Results, alive_weights
from nas_search.passes.sample_statistics import (
    BatchGradient,
    ChannelFisher,
    Grams,
    LayerFactors,
    Signs,
    normalized,
)
from nas_search.passes.structure import Depth, LiveParameters
from nas_search.stacked.candidates import Candidates, Members, candidates_of

__all__ = [
    "BatchGradient",
    "ChannelFisher",
    "Grams",
    "LayerFactors",
    "Signs",
    "normalized",
    "reduce_per_sample_gradients",
]


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
            # Hooks see modules, which a network that runs level by level does not call.
            level_by_level=ChannelFisher not in wanted and LiveParameters not in subject.kinds,
        )
    found: dict[type, PerCandidate] = {
        Grams: grams.found,
        Signs: signs.found,
        BatchGradient: sums.found,
        ChannelFisher: fisher,
    }
    squares = (grams if Grams in wanted else norms).squares
    weights: dict[str, Tensor] = dict(network.named_parameters())
    alive = alive_weights(logits, weights, squares, len(stack))
    pair = (factors.inputs, factors.errors)
    results = Results(weights, subject.classes, alive, found, pair)
    return results.of_each(wanted, complete=subject.parameters == "weights")


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
