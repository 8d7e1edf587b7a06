"""Sees every torch function that a network calls on its samples, whatever module calls it.

Modules of the book run by their rules directly. What else a network does with parameters (a forward
of a subclass, a functional call, a class token that stands alone) is known by the calls alone: this
mode follows which tensors depend on the samples, lets the book's functions run by their rules, and
hands over what mixes samples with parameters in other ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nas_search.gradients.axes import AxisUnknown, axis_after, before_move, results_of, unknown
from nas_search.layers.dependence import (
    depends,
    mark,
    samples_axis,
    tensors,
    unmark,
    unplace,
    unplaced,
)
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
        self._samples = 1
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
            self._samples = len(tensor) if tensor.dim() else 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` by its handler where it has one; note that its result depends on samples."""
        kwargs = kwargs or {}
        seen = list(tensors((args, tuple(kwargs.values()))))
        on_samples = [tensor for tensor in seen if self.depends(tensor)]
        handler = self._handlers.get(func)
        if not on_samples:
            if handler is not None and self._observer is not None:
                self._note_weight(handler.rule, _named(handler.rule, args, kwargs))
            return self._without_samples(func, args, kwargs, seen)
        largest = max(on_samples, key=Tensor.dim)
        axis = samples_axis(largest)
        moved = before_move(func, args)
        if handler is not None and _knows(handler.rule, _named(handler.rule, args, kwargs), axis):
            result = self._by_rule(handler, args, kwargs, axis)
            if isinstance(result, Tensor):
                self._mark(result, axis)
        elif self._observer is not None and any(
            tensor.requires_grad and not depends(tensor) for tensor in seen
        ):
            result = self._observer.mixed(func, args, kwargs, axis)
        else:
            result = self.unknown(func, args, kwargs)
        if moved is not None:
            func, largest = moved
            unmark(args[0])
            args = (largest, *args[1:])
        self._mark_results(func, args, kwargs, result, largest)
        return result

    def _without_samples(
        self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], seen: list[Tensor]
    ) -> Any:
        """Run a function of no samples, but perhaps of rows that were made for them."""
        rows = next(filter(unplaced, seen), None)
        if rows is None:
            return func(*args, **kwargs)
        if self._observer is not None and any(tensor.requires_grad for tensor in seen):
            name = getattr(func, "__name__", "")
            raise AxisUnknown(f"{name} takes {unknown(rows, self._samples)}")
        result = func(*args, **kwargs)
        for tensor in tensors(result):
            unplace(tensor)
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
                apart = handler.form(name, input.movedim(axis, 0), **arguments)
                result = apart.movedim(0, axis).contiguous()  # the network may want to view it
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
        apart = handler.form(name, first.movedim(axis, 0), *rest, **others)
        return apart.movedim(0, axis).contiguous()  # the network may want to view it

    def _note_weight(self, rule: LayerRule, arguments: Mapping[str, Any]) -> None:
        weight = arguments.get(rule.weight) if rule.weight is not None else None
        if isinstance(weight, Tensor) and weight.requires_grad and self._observer is not None:
            self._observer.alone(weight)

    def _mark_results(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, first: Tensor
    ) -> None:
        for place, tensor in enumerate(results_of(func, args, kwargs, result)):
            if not depends(tensor):
                guess = self._observer is None  # there is no gradient to go wrong
                call = (func, args, kwargs, tensor, place, first)
                axis = axis_after(*call, samples=self._samples, guess=guess)
                if axis is not None:
                    self._mark(tensor, axis)
                elif self._samples in tensor.shape:
                    unplace(tensor)
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
