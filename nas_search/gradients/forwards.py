"""Lets a network run by the book: its layers compute by other forms of what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import checkpoint

from nas_search.core.errors import InputError
from nas_search.gradients.calls import FunctionCalls, Handler, Observer
from nas_search.layers import batch_norm
from nas_search.layers.dependence import tensors
from nas_search.layers.modes import NORMALIZATIONS, Normalization
from nas_search.layers.recorder import Stack
from nas_search.layers.rule import LAYERS, LayerRule, rules_by_function, rules_by_kind
from nas_search.stacked.candidates import candidates_of
from nas_search.stacked.network import StackedNetwork

Form = Callable[..., Any]
"""A form of a layer's function: ``form(name, input, **arguments)``."""


Layers = dict[str, tuple[nn.Module, LayerRule]]
"""Modules of the book by name, as :func:`layers_by_rule` finds them."""


def layers_by_rule(network: nn.Module) -> Layers:
    """Return the modules that compute a function of the book and nothing else, by name."""
    rules = rules_by_kind()
    found = {}
    for name, module in network.named_modules():
        rule = rules.get(type(module))
        if rule is not None and rule.arguments is not None:
            try:
                arguments = rule.arguments(module)
            except AttributeError:  # e.g. a pruned weight before its first forward
                continue
            if arguments is not None:
                found[name] = (module, rule)
    return found


def has_own_forwards(network: nn.Module, layers: Layers | None = None) -> bool:
    """Whether parameters or running statistics are used outside the layers of the book."""
    layers = layers_by_rule(network) if layers is None else layers
    known = {id(module) for module, _ in layers.values()}
    return any(
        (module._parameters or module._buffers)
        and id(module) not in known
        and (
            any(p is not None and p.requires_grad for p in module._parameters.values())
            or "running_mean" in module._buffers
        )
        for module in network.modules()
    )


@contextmanager
def running_by(
    network: nn.Module,
    form_of: Callable[[LayerRule], Form | None],
    *,
    calls: bool | None = None,
    observer: Observer | None = None,
    layers: Layers | None = None,
) -> Iterator[AbstractContextManager[object]]:
    """Let every layer of ``network`` run by one of its forms; give it back as it was found.

    Modules without a form run as in evaluation, activations not in place.

    Args:
        network: an ordinary or a stacked network.
        form_of: chooses a rule's form; None where the layer's own is right.
        calls: whether the calls of the network's own forwards are looked at; None means where it
            has any that use parameters or running statistics.
        observer: see :class:`nas_search.gradients.calls.FunctionCalls`.
        layers: the network's modules of the book, where they are known already.

    Yields:
        A context for the forward pass, in which the calls are looked at.
    """
    layers = layers_by_rule(network) if layers is None else layers
    if calls is None:
        calls = has_own_forwards(network, layers)
    forms = {rule.name: form_of(rule) for rule in LAYERS}
    mode: FunctionCalls | None = None
    if calls:
        handlers = {
            function: Handler(rule, form)
            for function, rule in rules_by_function().items()
            if (form := forms[rule.name]) is not None
        }
        owners = {
            id(tensor): name
            for name, module in network.named_modules()
            for tensor in (*module._parameters.values(), *module._buffers.values())
            if tensor is not None
        }
        mode = FunctionCalls(network, handlers, observer, owners)
    rules: dict[nn.Module, Callable[..., Any]] = {}
    for name, (module, rule) in layers.items():
        form = forms[rule.name]
        if form is not None and mode is None:
            rules[module] = partial(_run, form, name, module, rule)
        elif form is not None and mode is not None:
            rules[module] = partial(_run_seen, mode, Handler(rule, form), name, module)
    with forwards_replaced(network, rules):
        yield nullcontext() if mode is None else mode


def _run(
    form: Form, name: str, module: nn.Module, rule: LayerRule, *args: Any, **kwargs: Any
) -> Any:
    assert rule.arguments is not None
    if len(args) == 1 and not kwargs:
        return form(name, args[0], **(rule.arguments(module) or {}))
    # Called with more than its input, e.g. the size of a transposed convolution's output.
    handlers = dict.fromkeys(rule.functions, Handler(rule, partial(_named, form, name)))
    with FunctionCalls(next(tensors((args, kwargs))), handlers):
        return type(module).forward(module, *args, **kwargs)


def _named(form: Form, name: str, _: str, *args: Any, **kwargs: Any) -> Any:
    return form(name, *args, **kwargs)


def _run_seen(
    mode: FunctionCalls,
    handler: Handler,
    name: str,
    module: nn.Module,
    *args: Any,
    **kwargs: Any,
) -> Any:
    result = NotImplemented
    if len(args) == 1 and not kwargs:
        assert handler.rule.arguments is not None
        result = mode.run_layer(handler, name, args[0], handler.rule.arguments(module) or {})
    if result is NotImplemented:
        return type(module).forward(module, *args, **kwargs)
    return result


@contextmanager
def normalized_network(
    network: nn.Module, normalization: Normalization | None, *, calls: bool | None = None
) -> Iterator[None]:
    """Let ``network`` run with the statistics of ``normalization``, for ordinary gradients.

    Running statistics are never written; the network is given back as it was found. In a stacked
    network each candidate has its own batch.

    Args:
        network: an ordinary or a stacked network.
        normalization: statistics of batch-norm; None leaves batch-norm out.
        calls: whether the calls of the network's own forwards are looked at, as for
            :func:`running_by`.
    """
    if normalization is not None:
        check_normalization(normalization)
    candidates = candidates_of(network)
    samples: int | None = None  # of an ordinary network, in whose batch patches may be rows

    def count(network: nn.Module, args: tuple[Any, ...]) -> None:
        nonlocal samples
        samples = None if isinstance(network, StackedNetwork) else len(args[0])

    def normalized(
        name: str,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        k = len(candidates.active)
        stack = Stack(k, normalization, name, samples)
        scale, shift = (v if v is None else v.expand(k, -1) for v in (weight, bias))
        return batch_norm.stacked(stack, x, running_mean, running_var, scale, shift, eps=eps)

    def form_of(rule: LayerRule) -> Form | None:
        return normalized if rule.name == "batch_norm" else None

    hook = network.register_forward_pre_hook(count)
    try:
        with running_by(network, form_of, calls=calls) as looking, looking:
            yield
    finally:
        hook.remove()


def check_normalization(normalization: str) -> None:
    """Refuse statistics that do not exist.

    Raises:
        InputError: there are none of that name.
    """
    if normalization not in NORMALIZATIONS:
        raise InputError(
            f"unknown normalization '{normalization}'; possible: {', '.join(NORMALIZATIONS)}"
        )


@contextmanager
def forwards_replaced(
    network: nn.Module, rules: Mapping[nn.Module, Callable[..., Any]]
) -> Iterator[None]:
    """Let modules run by ``rules`` and all others as in evaluation; undo it at the end.

    Activations do not work in place meanwhile: what a layer has kept stays what it was. What a
    forward writes into buffers, or an embedding with ``max_norm`` into its table, is undone.
    """
    modules = list(network.modules())
    training = [module.training for module in modules]
    in_place = [module for module in modules if getattr(module, "inplace", False) is True]
    own = {module: module.__dict__.get("forward") for module in rules}
    known = rules_by_kind()
    written = [
        (tensor, tensor._version, tensor.detach().clone())
        for module in modules
        if type(module) not in known or getattr(module, "max_norm", None) is not None
        for tensor in _written_by(module)
    ]
    # Some keep tables of biases for evaluation, and drop them when they are told to train.
    keeping = any(type(module).train is not nn.Module.train for module in modules)
    if keeping:
        network.train()
        network.eval()
    try:
        for module, trains in zip(modules, training, strict=True):
            if trains:
                module.training = False
        for module in in_place:
            setattr(module, "inplace", False)  # noqa: B010  (mypy takes it for a submodule)
        for module, rule in rules.items():
            module.forward = rule
        with _uncompiled(modules), _activations_kept():
            yield
    finally:
        for module, forward in own.items():
            if forward is None:
                del module.forward  # the class's own forward is in force again
            else:
                module.forward = forward
        for tensor, version, values in written:
            if tensor._version != version:
                with torch.no_grad():
                    tensor.copy_(values)
        for module in in_place:
            setattr(module, "inplace", True)  # noqa: B010
        if keeping:
            network.train()
        for module, trained in zip(modules, training, strict=True):
            if keeping or trained:
                module.training = trained


def _written_by(module: nn.Module) -> Iterator[Tensor]:
    """Yield what the forward of ``module`` may write to."""
    yield from (buffer for buffer in module._buffers.values() if buffer is not None)
    if getattr(module, "max_norm", None) is not None:
        yield from (p for p in module._parameters.values() if p is not None)


@contextmanager
def _activations_kept() -> Iterator[None]:
    """Let checkpoints keep activations: in the backward pass nobody looks at what is recomputed."""
    # torch has no switch for it. Releases differ in the name of the generator.
    replaced: dict[str, Any] = {"CheckpointFunction": _NoCheckpoint}
    for name in vars(checkpoint):
        if name.startswith("_checkpoint_without_reentrant_generator"):
            replaced[name] = _nothing
    kept = {name: getattr(checkpoint, name) for name in replaced}
    try:
        for name, replacement in replaced.items():
            setattr(checkpoint, name, replacement)
        yield
    finally:
        for name, own in kept.items():
            setattr(checkpoint, name, own)


def _nothing(*_: Any, **__: Any) -> Iterator[None]:
    """Do what a checkpoint does before and after the function that it runs: nothing."""
    yield


class _NoCheckpoint:
    """Runs a function as it is, called like the checkpoint that differentiates twice."""

    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        return function(*args)


def _uncompiled(modules: Iterable[nn.Module]) -> AbstractContextManager[object]:
    """Let compiled modules run as they were written: rules do not go through a compiler."""
    compiled = any(
        "_orig_mod" in module._modules or module.__dict__.get("_compiled_call_impl") is not None
        for module in modules
    )
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


@contextmanager
def gradients_kept(network: nn.Module) -> Iterator[None]:
    """Keep the ``.grad`` of parameters: what comes back to them meanwhile is dropped."""
    kept = [(parameter, parameter.grad) for parameter in network.parameters()]
    try:
        for parameter, _ in kept:
            parameter.grad = None
        yield
    finally:
        for parameter, gradient in kept:
            parameter.grad = gradient


def logits_of(network: nn.Module, samples: Tensor) -> Tensor:
    """Return what ``network`` makes of ``samples``.

    Raises:
        InputError: it is no tensor.
    """
    logits = network(samples)
    if not isinstance(logits, torch.Tensor):
        raise InputError(
            f"the network returns a {type(logits).__name__}, not a tensor of logits; "
            "wrap it in a module that returns the logits alone"
        )
    return logits
