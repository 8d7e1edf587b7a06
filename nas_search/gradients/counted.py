"""Which parameters count: found by looking at what a network does with them, once per network."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients.forwards import (
    Form,
    Layers,
    layers_by_rule,
    logits_of,
    running_by,
)
from nas_search.gradients.standing import Standing
from nas_search.layers.modes import Parameters
from nas_search.layers.recorder import Recorder
from nas_search.layers.rule import LayerRule
from nas_search.stacked.candidates import Candidates
from nas_search.stacked.network import StackedNetwork

_weights: WeakKeyDictionary[nn.Module, tuple[object, frozenset[str]]] = WeakKeyDictionary()


def counted_parameters(
    network: nn.Module, images: Tensor, parameters: Parameters
) -> frozenset[str]:
    """Return the names of the parameters of ``network`` that count.

    A parameter that inputs are multiplied with anywhere counts with all its uses: the embedding
    that is a classifier's weight too.

    Args:
        network: an ordinary or a stacked network.
        images: what it takes; the first is used.
        parameters: see :data:`nas_search.layers.modes.Parameters`.
    """
    if parameters == "all":
        return frozenset(name for name, p in network.named_parameters() if p.requires_grad)
    return multiplied_weights(network, images)


def multiplied_weights(network: nn.Module, images: Tensor) -> frozenset[str]:
    """Return the names of the parameters that inputs are multiplied with.

    One forward pass of one sample, whose calls are looked at; kept until the network changes.
    """
    structure = structure_of(network)
    known = _weights.get(network)
    if known is not None and known[0] == structure:
        return known[1]
    names = {id(p): name for name, p in network.named_parameters()}
    recorder = Recorder((), names, 1, Candidates(1), "frozen", every_parameter=True)
    form_of = partial(recorded_form, recorder)
    observer = Standing(recorder)
    image = images[:1]
    with (
        # A layer that one sample alone cannot pass: what comes behind it is known by its name.
        suppress(InputError, RuntimeError, ValueError),
        torch.enable_grad(),
        running_by(network, form_of, calls=True, observer=observer) as looking,
        looking,
    ):
        logits_of(network, image)
    seen = recorder.used_parameters | recorder.multiplied | observer.unknown
    by_name = weights_of(network)
    unseen = {
        name
        for name, p in network.named_parameters()
        if name not in seen and p.requires_grad and id(p) in by_name
    }
    found = frozenset(recorder.multiplied | unseen)
    _weights[network] = structure, found
    return found


def weights_of(network: nn.Module) -> set[int]:
    """Return the ids of the parameters that modules say inputs are multiplied with.

    Of modules that are not in the book: those of more than one dimension that are called weights.
    """
    layers = layers_by_rule(network)
    found: set[int] = set()
    for name, module in network.named_modules():
        if name in layers:
            _, rule = layers[name]
            if rule.weight is not None and rule.arguments is not None:
                found.add(id((rule.arguments(module) or {})[rule.weight]))
        else:
            own = module.named_parameters(recurse=False)
            found |= {id(p) for local, p in own if "weight" in local and p.dim() > 1}
    return found


def recorded_form(recorder: Recorder, rule: LayerRule) -> Form | None:
    """Return the form of a rule's function that hands gradients to ``recorder``."""
    if rule.per_sample is None:
        return None
    return partial(_recorded, recorder, rule.per_sample)


def _recorded(recorder: Recorder, form: Form, name: str, *args: Any, **kwargs: Any) -> Any:
    recorder.layer = name
    return form(recorder, *args, **kwargs)


def structure_of(network: nn.Module) -> object:
    """Return what changes when modules, parameters or plain attributes of ``network`` do."""
    modules = tuple(
        (
            name,
            type(module),
            len(module._forward_pre_hooks),
            len(module._forward_hooks),
            *(
                (key, value)
                for key, value in vars(module).items()
                if type(value) in (bool, int, float, str) and key != "training"
            ),
        )
        for name, module in network.named_modules()
    )
    return modules, tuple((id(p), p.requires_grad) for p in network.parameters())


def counted_by_layers(network: nn.Module, layers: Layers) -> bool:
    """Say whether each parameter is used by one layer of the book, which knows whether it counts.

    Args:
        network: an ordinary or a stacked network.
        layers: its modules of the book.
    """
    if isinstance(network, StackedNetwork):
        return True
    owned = {id(p) for module, _ in layers.values() for p in module._parameters.values()}
    uses = sum(p is not None for module, _ in layers.values() for p in module._parameters.values())
    owned.discard(id(None))
    return uses == len(owned) and all(
        id(p) in owned or not p.requires_grad for p in network.parameters()
    )
