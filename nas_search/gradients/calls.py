"""Sees every torch function that a network calls on its samples, whatever module calls it.

Modules of the book run by their rules directly. What else a network does with parameters (a forward
of a subclass, a functional call, a class token that stands alone) is known by the calls alone: this
mode follows which tensors depend on the samples, lets the book's functions run by their rules, and
hands over what mixes samples with parameters in other ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas_search.layers.dependence import depends, mark, samples_axis, tensors, unmark
from nas_search.layers.rule import LayerRule

Function = Callable[..., Any]


class Handler(NamedTuple):
    """A rule of the book and the form of its function that runs: ``form(name, input, ...)``."""

    rule: LayerRule
    form: Function


class Observer(Protocol):
    """Takes the calls that no handler knows."""

    def mixed(
        self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int
    ) -> Any:
        """Run a function that takes samples, which lie along ``axis``, and parameters."""
        ...

    def alone(self, weight: Tensor) -> None:
        """Note a weight of a layer that sees no samples, but what is made of parameters."""
        ...


class FunctionCalls(TorchFunctionMode):
    """Lets functions on tensors that depend on the samples run by ``handlers``.

    Args:
        source: the network, whose input depends on the samples, or a tensor that does.
        handlers: what runs instead of a function, by the function.
        observer: sees the calls that no handler knows; without one they run as they are.
        owners: names of modules by the identity of their parameters and buffers, for messages.
    """

    def __init__(
        self,
        source: nn.Module | Tensor,
        handlers: Mapping[Function, Handler],
        observer: Observer | None = None,
        owners: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__()
        self._source, self._handlers, self._observer = source, handlers, observer
        self._marked: list[Tensor] = []
        self._hook: Any = None
        self._owners = owners or {}
        self._nodes: dict[Any, bool] = {}

    def __enter__(self) -> FunctionCalls:
        """Begin to look."""
        if isinstance(self._source, Tensor):
            self._mark_inputs(None, (self._source,))
        else:
            self._hook = self._source.register_forward_pre_hook(self._mark_inputs)
        super().__enter__()  # type: ignore[no-untyped-call]  # torch's own has no types
        return self

    def __exit__(self, *error: Any) -> None:
        """Stop looking."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        if self._hook is not None:
            self._hook.remove()
        for tensor in self._marked:
            unmark(tensor)
        self._marked.clear()
        self._nodes.clear()

    def _mark_inputs(self, network: nn.Module | None, args: tuple[Any, ...]) -> None:
        for tensor in tensors(args):
            mark(tensor)
            self._marked.append(tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` by its handler where it has one; note that its result depends on samples."""
        kwargs = kwargs or {}
        seen = list(tensors((args, tuple(kwargs.values()))))
        on_samples = [tensor for tensor in seen if self.depends(tensor)]
        handler = self._handlers.get(func)
        if not on_samples:
            if handler is not None and self._observer is not None:
                self._note_weight(handler.rule, _named(handler.rule, args, kwargs))
            return func(*args, **kwargs)
        largest = max(on_samples, key=Tensor.dim)
        axis = samples_axis(largest)
        if handler is not None and _knows(handler.rule, _named(handler.rule, args, kwargs), axis):
            result = self._by_rule(handler, args, kwargs, axis)
        elif self._observer is not None and any(
            tensor.requires_grad and not depends(tensor) for tensor in seen
        ):
            result = self._observer.mixed(func, args, kwargs, axis)
        else:
            result = self.unknown(func, args, kwargs)
        self._mark_results(func, args, kwargs, result, largest)
        return result

    def unknown(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function of samples that no handler knows and no observer takes."""
        return func(*args, **kwargs)

    def run_layer(self, handler: Handler, name: str, input: Tensor, arguments: Any) -> Any:
        """Run a layer of the book on ``input``; NotImplemented where its own forward is right."""
        with torch._C.DisableTorchFunction():
            if not self.depends(input):
                self._note_weight(handler.rule, arguments)
                return NotImplemented
            if any(depends(tensor) for tensor in tensors(arguments)):
                return NotImplemented
            axis = samples_axis(input)
            if axis != handler.rule.axis and not handler.rule.positionwise:
                return NotImplemented
            if axis == handler.rule.axis:
                result = handler.form(name, input, **arguments)
            else:
                result = handler.form(name, input.movedim(axis, 0), **arguments).movedim(0, axis)
            for tensor in tensors(result):
                self._mark(tensor, axis)
        return result

    def depends(self, tensor: Tensor) -> bool:
        """Say whether ``tensor`` depends on the samples.

        Operations that the mode does not see (functions with a backward of their own, scripted
        ones) are known by autograd's graph.
        """
        if depends(tensor):
            return True
        if tensor.grad_fn is None or not self._leads_to_samples(tensor.grad_fn):
            return False
        self._mark(tensor, 0)
        return True

    def _leads_to_samples(self, node: Any) -> bool:
        waiting, passed = [node], []
        found = False
        while waiting and not found:
            node = waiting.pop()
            known = self._nodes.get(node)
            if known is None:
                self._nodes[node] = False
                passed.append(node)
                waiting += [before for before, _ in node.next_functions if before is not None]
            found = bool(known)
        if found:  # which of the nodes on the way are meant is not known: look again when asked
            for node in passed:
                del self._nodes[node]
        return found

    def _mark(self, tensor: Tensor, axis: int) -> None:
        mark(tensor, axis)
        if tensor.grad_fn is not None:
            self._nodes[tensor.grad_fn] = True

    def _by_rule(
        self, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int
    ) -> Any:
        owners = (self._owners.get(id(t)) for t in tensors((args, tuple(kwargs.values()))))
        name = next((owner for owner in owners if owner is not None), "")
        if axis == handler.rule.axis:
            return handler.form(name, *args, **kwargs)
        first, rest = (args[0], args[1:]) if args else (kwargs["input"], ())
        others = {key: value for key, value in kwargs.items() if key != "input"}
        return handler.form(name, first.movedim(axis, 0), *rest, **others).movedim(0, axis)

    def _note_weight(self, rule: LayerRule, arguments: Mapping[str, Any]) -> None:
        weight = arguments.get(rule.weight) if rule.weight is not None else None
        if isinstance(weight, Tensor) and weight.requires_grad and self._observer is not None:
            self._observer.alone(weight)

    def _mark_results(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, first: Tensor
    ) -> None:
        changed = [args[0]] if args and isinstance(args[0], Tensor) and _in_place(func) else []
        results = (*tensors(result), *changed, *tensors(kwargs.get("out")))
        for place, tensor in enumerate(results):
            if not depends(tensor):
                self._mark(tensor, _axis_after(func, args, kwargs, tensor, place, first))
            elif tensor.grad_fn is not None:  # changed in place: it has another node now
                self._nodes[tensor.grad_fn] = True


def _named(rule: LayerRule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of the rule's function by name."""
    return {**dict(zip(_argument_names(rule), args, strict=False)), **kwargs}


@cache
def _argument_names(rule: LayerRule) -> tuple[str, ...]:
    return () if rule.per_sample is None else tuple(signature(rule.per_sample).parameters)[1:]


def _knows(rule: LayerRule, arguments: Mapping[str, Any], axis: int) -> bool:
    """Say whether a call is what the rule is for: weights are not made of samples."""
    if axis != rule.axis and not rule.positionwise:
        return False
    return not any(
        depends(tensor)
        for name, value in arguments.items()
        if name not in rule.samples
        for tensor in tensors(value)
    )


def _in_place(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    if name.endswith("__"):
        return name.startswith("__i") or name == "__setitem__"
    return name.endswith("_")


_MOVING = {"transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "t"}
_TRANSPOSED = {
    getattr(Tensor, name).__get__ for name in ("T", "mT", "H", "mH")
}  # what reading these properties calls
_RESHAPING = {
    *("reshape", "reshape_as", "view", "view_as", "flatten", "unflatten", "ravel"),
    *("squeeze", "unsqueeze"),
}
"""Functions that leave the elements in their order."""


def _axis_after(
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Tensor,
    place: int,
    first: Tensor,
) -> int:
    """Return where the samples lie in ``result``, the tensor number ``place`` of what came out.

    ``first`` is the argument of most axes that depends on the samples.

    Other axes may be as long as there are samples (heads, tokens, channels), so lengths alone do
    not tell. Samples that were folded into another axis are taken for the first: the check of the
    network's first pass says whether that is right.
    """
    name = getattr(func, "__name__", "")
    if name in _MOVING or func in _TRANSPOSED:
        moved = args[0] if args else kwargs["input"]
        others = {key: value for key, value in kwargs.items() if key != "input"}
        numbered = torch.empty(tuple(range(1, moved.dim() + 1)), device="meta")
        return tuple(func(numbered, *args[1:], **others).shape).index(samples_axis(moved) + 1)
    if not result.dim() or not first.dim():
        return 0
    axis = samples_axis(first)
    size = first.shape[axis]
    if name in _RESHAPING:
        before = math.prod(first.shape[:axis])
        places = (p for p in range(result.dim()) if math.prod(result.shape[:p]) == before)
        return next((p for p in places if result.shape[p] == size), 0)
    if first.dim() == result.dim() and result.shape[axis] == size:
        return axis
    changed = _changed_axes(func, args, kwargs, result, place)
    return next((p for p in changed if result.shape[p] == size), 0)


def _changed_axes(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor, place: int
) -> list[int]:
    """Return the axes of a result whose length changes with the number of samples.

    Where a size is written down in the call, so that it fits no other number, all are returned.
    """

    def other(value: Any) -> Any:
        if isinstance(value, Tensor):
            shape = list(value.shape)
            if depends(value):
                shape[samples_axis(value)] = 2 * shape[samples_axis(value)] + 1
            return torch.empty(shape, dtype=value.dtype, device="meta")
        if isinstance(value, list | tuple):
            return type(value)(map(other, value)) if type(value) in (list, tuple) else value
        return value

    try:
        with torch.no_grad():
            found = func(*other(args), **{key: other(value) for key, value in kwargs.items()})
        shape = list(tensors(found))[place].shape
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return list(range(result.dim()))
    return [p for p in range(result.dim()) if shape[p] != result.shape[p]]
