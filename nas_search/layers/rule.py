"""What the engine knows of one kind of layer: a record in the book, registered by its own file.

A file of this room calls :data:`LAYERS` ``.add`` at import and is found without being listed. A
layer of your own does the same from any module that is imported, and inherits its tests from
:class:`nas_search.testing.layers.LayerConformance`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nas_search.core.registry import Registry
from nas_search.layers.initial_weights import Distribution, Scheme


@dataclass(frozen=True)
class LayerRule:
    """One kind of layer.

    A layer is known by the torch function that computes it: ``function(input, **arguments)``. The
    rule's own forms of it take and return what the function does; a network that calls the function
    itself, from whatever module, is treated like one that uses ``kinds``.

    Attributes:
        name: the kind's name in messages, e.g. ``"conv2d"``.
        kinds: classes of modules that compute ``function`` and nothing else. A subclass has a
            forward of its own and is none of them.
        functions: the torch function, with other names that it is called by; empty for modules that
            call none with parameters.
        arguments: from a module to the function's arguments beside the input, the module's
            parameters among them, or None where a module computes more than the function. Without
            it the module's own forward runs, whose calls are known.
        weight: name of the argument that inputs are multiplied with; None where there is none.
        samples: names of the arguments that may depend on the samples, the input among them.
        axis: the dimension of the input along which the function expects the samples.
        positionwise: whether all dimensions of the input but the last are treated alike, so that
            the samples may lie along any of them.
        per_sample: ``(recorder, input, **arguments)`` to the function's value. When backward passes
            through it, it hands the per-sample gradients of its parameters to the
            :class:`nas_search.layers.recorder.Recorder`; None where nothing is to be recorded.
        stacked: ``(stack, input, **arguments)`` to the function's value for k candidates, with
            every parameter as (k, ...), one row of values per candidate, in ordinary differentiable
            operations; ``stack`` is a :class:`nas_search.layers.recorder.Stack`. None where the
            layer has no parameters.
        initial_weights: ``(module, scheme)`` to the distribution of each parameter, by its name in
            the module.
        macs: ``(output, input, **arguments)`` to the number of multiply-accumulates. Of kinds
            without ``functions`` the calls count that their own forward makes.
        saved: ``(output, input, **arguments)`` to the number of elements of activations that the
            layer keeps for its backward pass.
    """

    name: str
    kinds: tuple[type[nn.Module], ...]
    functions: tuple[Callable[..., Any], ...] = ()
    arguments: Callable[[Any], dict[str, Any] | None] | None = None
    weight: str | None = None
    samples: tuple[str, ...] = ("input",)
    axis: int = 0
    positionwise: bool = False
    per_sample: Callable[..., Any] | None = None
    stacked: Callable[..., Tensor] | None = None
    initial_weights: Callable[[Any, Scheme], dict[str, Distribution]] | None = None
    macs: Callable[..., int] | None = None
    saved: Callable[..., int] | None = None


LAYERS: Registry[LayerRule] = Registry("layer", "nas_search.layers")


def rules_by_kind() -> dict[type[nn.Module], LayerRule]:
    """Return the rules by the classes of modules that they know."""
    return {kind: rule for rule in LAYERS for kind in rule.kinds}


def rules_by_function() -> dict[Callable[..., Any], LayerRule]:
    """Return the rules by the torch functions that they know."""
    return {function: rule for rule in LAYERS for function in rule.functions}


def known_layers() -> str:
    """Return the classes of the book, for messages."""
    return ", ".join(sorted(kind.__name__ for kind in rules_by_kind()))
