"""One forward and one backward pass of a batch that yields every sample's gradient."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.gradients.axes import AxisUnknown
from nas_search.gradients.counted import counted_by_layers, counted_parameters, recorded_form
from nas_search.gradients.forwards import (
    check_normalization,
    gradients_kept,
    layers_by_rule,
    logits_of,
    running_by,
)
from nas_search.gradients.objective import Objective, check_objective, cross_entropy
from nas_search.gradients.one_by_one import gradients_one_by_one
from nas_search.gradients.standing import Standing
from nas_search.gradients.ways import Way, way_of
from nas_search.layers.modes import PARAMETERS, Normalization, Parameters
from nas_search.layers.recorder import Recorder, Sink
from nas_search.layers.side_by_side import EdgeLayers
from nas_search.stacked.candidates import Candidates, candidates_of
from nas_search.stacked.network import StackedNetwork


def per_sample_backward(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    sinks: Sequence[Sink],
    *,
    normalization: Normalization = "sample",
    parameters: Parameters = "weights",
    precision: Precision = "fp32",
    objective: Objective = cross_entropy,
    way: Way | None = None,
    level_by_level: bool = False,
) -> Tensor:
    """Send every sample's gradient, parameter by parameter, to ``sinks``; return the logits.

    The gradient of a summed loss with respect to a layer's weight is the sum of the samples' own
    gradients. Each layer rule computes the terms instead of their sum when backward passes through
    the layer, hands them to the sinks and drops them: the n x P matrix of all gradients never
    exists. ``.grad`` of the parameters is left alone, and so are running statistics; layers that
    behave differently in training (dropout, stochastic depth) behave as in evaluation. Parameters
    that do not require gradient do not count.

    Args:
        network: maps samples to logits; any network whose samples come first and do not depend on
            each other. Its first pass is checked, see :mod:`.ways`. A stacked network
            (:class:`nas_search.stacked.network.StackedNetwork`) runs K candidates at once.
        images: (n, ...), on the network's device and in its dtype: images or tokens.
        labels: (n,) int64, in [0, classes), or what ``objective`` takes.
        sinks: receivers of the gradients; a parameter that receives none is not mentioned to them.
        normalization: statistics of batch-norm, see :data:`nas_search.layers.modes.Normalization`.
        parameters: which parameters count, see :data:`nas_search.layers.modes.Parameters`.
        precision: of the convolutions, see :data:`nas_search.core.device.Precision`.
        objective: what is differentiated; a sum of terms, one per sample.
        way: how the gradients are found, see :data:`.ways.Way`; None means the cheapest that the
            check of the network's first pass found to be right.
        level_by_level: whether a stacked network may run all edges of a level of its cells in one
            call, where ``sinks`` take many edges at once; its modules are not called then.

    Returns:
        The logits, (n, ...), detached; (K n, classes) of a stacked network.

    Raises:
        InputError: the samples depend on each other, a layer cannot run with these statistics, the
            network computes in half precision, or ``bf16`` is asked for with statistics that it has
            no use for.
    """
    check_normalization(normalization)
    check_dtype(network)
    if parameters not in PARAMETERS:
        raise InputError(f"unknown parameters '{parameters}'; possible: {', '.join(PARAMETERS)}")
    if precision == "bf16" and normalization not in ("frozen", "eval"):
        raise InputError(
            f"precision=bf16 cannot tell gradients from rounding with normalization "
            f"'{normalization}'; use frozen or eval, or precision=tf32"
        )
    if way is None:
        way = way_of(network, images, normalization)
        options: dict[str, Any] = {
            "normalization": normalization,
            "parameters": parameters,
            "precision": precision,
            "objective": objective,
            "level_by_level": level_by_level,
        }
        try:
            return per_sample_backward(network, images, labels, sinks, way=way, **options)
        except AxisUnknown as error:  # in the forward pass: the sinks have got nothing yet
            _say_once(network, f"{error}; gradients")
            return per_sample_backward(network, images, labels, sinks, way="one_by_one", **options)
    layers = layers_by_rule(network)
    counted: frozenset[str] | None = None
    if way != "rules" or not counted_by_layers(network, layers):
        counted = counted_parameters(network, images, parameters)
    candidates = candidates_of(network)
    own = dict(network.named_parameters())
    recorder = Recorder(
        sinks,
        {id(p): name for name, p in own.items()},
        len(images),
        candidates,
        normalization,
        every_parameter=parameters == "all",
        low=precision == "bf16",
        counted=counted,
    )
    wanted = {
        name: p
        for name, p in own.items()
        if p.requires_grad and (counted is None or name in counted)
    }
    if way == "one_by_one":
        return gradients_one_by_one(
            network, images, labels, recorder, wanted, normalization, objective
        )
    observer = Standing(recorder)
    form_of = partial(recorded_form, recorder)
    calls = True if way == "calls" else None
    with (
        nullcontext() if isinstance(network, StackedNetwork) else gradients_kept(network),
        running_by(network, form_of, calls=calls, observer=observer, layers=layers) as looking,
        torch.enable_grad(),
    ):
        many = level_by_level and can_run_levels(network, sinks, recorder)
        with looking, edges_together(candidates, sinks) if many else nullcontext():
            logits = logits_of(network, images)
        recorder.skip = frozenset(observer.unknown)
        check_objective(objective, logits, labels)
        if logits.requires_grad:  # a network whose output no parameter reaches has no gradient
            k = len(candidates.all)
            repeated = labels if k == 1 else labels.repeat(k)
            objective(logits, repeated).sum().backward()
        recorder.flush()
    unknown = {name: p for name, p in wanted.items() if name in observer.unknown}
    if unknown:
        names = list(unknown)
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        _say_once(network, f"no layer rule knows how {shown} are used; their gradients")
        gradients_one_by_one(network, images, labels, recorder, unknown, normalization, objective)
    return logits.detach()


def can_run_levels(network: nn.Module, sinks: Sequence[Sink], recorder: Recorder) -> bool:
    """Whether ``network`` can run level by level: for weights' gradients, frozen statistics."""
    return (
        isinstance(network, StackedNetwork)
        and network.runs_level_by_level
        and len(network.candidates) > 1
        and recorder.normalization == "frozen"
        and not recorder.every_parameter
        and not recorder.low
        and all(hasattr(sink, "add_edges") for sink in sinks)
    )


@contextmanager
def edges_together(candidates: Candidates, sinks: Sequence[Any]) -> Iterator[None]:
    """Let a stacked network run level by level meanwhile."""
    candidates.edge_layers = EdgeLayers(sinks)
    try:
        yield
    finally:
        candidates.edge_layers = None


def check_dtype(network: nn.Module) -> None:
    """Refuse networks whose rounding would pass for a gradient, and such as nobody looks into.

    Raises:
        InputError: it computes in half precision, or is compiled by TorchScript.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError("a network compiled by torch.jit cannot be looked into; give the original")
    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    if first is not None and first.dtype in (torch.float16, torch.bfloat16):
        raise InputError(
            f"the network computes in {str(first.dtype).removeprefix('torch.')}, whose rounding "
            "would pass for gradients; give network.float()"
        )


_said: WeakSet[nn.Module] = WeakSet()


def _say_once(network: nn.Module, reason: str) -> None:
    if network not in _said:
        _said.add(network)
        warnings.warn(
            f"{type(network).__name__}: {reason} take one backward pass per sample", stacklevel=3
        )
