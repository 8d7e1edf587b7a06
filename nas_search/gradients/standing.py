"""What a network does with parameters outside the layers of the book.

A class token, a table of positions, a layer scale: such a parameter, or what the network made of
it, gets rows of its own for each sample before it meets them; the gradient of a sample's rows is
the sample's own (:mod:`nas_search.layers.rows`). What the function does with it stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nas_search.layers import linear
from nas_search.layers.dependence import depends, tensors
from nas_search.layers.recorder import Recorder
from nas_search.layers.rows import with_rows

BROADCASTING = frozenset(
    name
    for stem in ("add", "sub", "mul", "div", "true_divide", "pow", "maximum", "minimum")
    for name in (stem, f"{stem}_", f"__{stem}__", f"__r{stem}__", f"__i{stem}__")
) | frozenset(
    {"__truediv__", "__rtruediv__", "__itruediv__", "rsub", "subtract", "multiply", "divide"}
    | {"where", "addcmul", "addcmul_", "addcdiv", "lerp", "clamp", "clamp_min", "clamp_max"}
)
_BESIDE = frozenset({"cat", "concat", "concatenate", "stack"})
PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "bmm"})
_MULTIPLYING = PRODUCTS | frozenset(
    {
        "scaled_dot_product_attention",
        "einsum",
        "mm",
        "mv",
        "addmm",
        "addbmm",
        "baddbmm",
        "tensordot",
        "bilinear",
    }
    | {"lstm", "gru", "rnn_tanh", "rnn_relu", "conv_tbc", "embedding_bag"}
    | {f"conv{d}d" for d in (1, 2, 3)}
    | {f"conv_transpose{d}d" for d in (1, 2, 3)}
)
"""Functions that multiply inputs with a weight, whether or not a rule knows them."""


class Standing:
    """Runs functions that take samples and parameters and that no rule knows.

    Args:
        recorder: takes the gradients.

    Attributes:
        unknown: names of the parameters that were used in ways that are not known here.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.unknown: set[str] = set()
        self._recorder = recorder

    def alone(self, weight: Tensor) -> None:
        """Note a weight of a layer that sees no samples, but what is made of parameters."""
        self._recorder.note_weight(weight)

    def mixed(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], axis: int
    ) -> Any:
        """Run ``func`` with rows per sample for each parameter, where that means the same.

        Elsewhere its parameters are noted as ``unknown`` and run as constants.
        """
        name = getattr(func, "__name__", "")
        if name == "einsum":
            args = _with_flat_operands(args)
        by_linear = self._linear(name, args, kwargs, axis)
        if by_linear is not None:
            return by_linear
        replaced = self._einsum(args, axis) if name == "einsum" else None
        if replaced is None:
            replaced = self._each(name, args, kwargs, axis)
        if replaced is None:
            self._note(name, args, kwargs)
            return func(*_constant(args), **_constant(kwargs))
        return func(*replaced[0], **replaced[1])

    def _linear(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int
    ) -> Tensor | None:
        """Return a product with a matrix by the rule of linear layers; None where it is none."""
        if name not in PRODUCTS or len(args) != 2 or kwargs:
            return None
        left, right = args if name != "__rmatmul__" else args[::-1]
        if depends(left) and right.dim() == 2 and left.dim() > axis + 1:
            by_rule = linear.per_sample(self._recorder, left.movedim(axis, 0), right.mT)
            return by_rule.movedim(0, axis).contiguous()  # the network may want to view it
        if depends(right) and left.dim() == 2 and right.dim() > 2 and axis == 0:
            return linear.per_sample(self._recorder, right.mT, left).mT
        return None

    def _each(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments with rows per sample; None where samples may not stay apart."""
        rows = self._rows(name, args, kwargs, axis)
        if rows is None:
            return None
        rank, lead = rows
        found: dict[int, Tensor] = {}
        multiplied = args[:3] if name == "scaled_dot_product_attention" else args
        for tensor in _parameters(args, kwargs):
            weight = name in _MULTIPLYING and any(tensor is own for own in multiplied)
            own = with_rows(self._recorder, tensor, rank, lead, axis=axis, weight=weight)
            if own is None:
                return None
            found[id(tensor)] = own
        return _replaced(args, found), _replaced(kwargs, found)

    def _rows(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int
    ) -> tuple[int, int] | None:
        """Return the rank of the result and its size along the samples; None if unknown."""
        samples = [tensor for tensor in tensors((args, kwargs)) if depends(tensor)]
        widest = max(samples, key=Tensor.dim)
        rank = widest.dim()
        if name in BROADCASTING:
            shapes = (tensor.shape for tensor in tensors((args, kwargs)))
            shape = torch.broadcast_shapes(*shapes)
            if len(shape) != rank or shape[axis] != widest.shape[axis]:
                return None
        elif name in _BESIDE:
            place = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            if not isinstance(place, int) or place % (rank + (name == "stack")) <= axis:
                return None
        elif name in PRODUCTS:
            if rank < 3 or axis >= rank - 2:
                return None
        elif name != "scaled_dot_product_attention" or axis >= rank - 2:
            return None
        lead = widest.shape[axis]
        return (rank, lead) if lead and lead % self._recorder.rows == 0 else None

    def _einsum(
        self, args: tuple[Any, ...], axis: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return einsum's arguments with the samples' letter in front of every parameter."""
        equation, operands = args[0], args[1:]
        if not isinstance(equation, str) or "->" not in equation or "..." in equation:
            return None
        terms, output = equation.replace(" ", "").split("->")
        letters = terms.split(",")
        samples = next(t for t in zip(letters, operands, strict=True) if depends(t[1]))
        letter, lead = samples[0][axis], samples[1].shape[axis]
        apart = all(letter in own for own, t in zip(letters, operands, strict=True) if depends(t))
        if not apart or letter not in output or lead % self._recorder.rows:
            return None
        found: list[Tensor] = []
        for number, (own, tensor) in enumerate(zip(letters, operands, strict=True)):
            if depends(tensor) or not tensor.requires_grad:
                found.append(tensor)
                continue
            if letter in own:
                return None
            rank = tensor.dim() + 1
            rows = with_rows(self._recorder, tensor, rank, lead, weight=True)
            assert rows is not None
            # Where the parameter does not count, it has no rows.
            letters[number] = letter + own if rows.dim() == rank else own
            found.append(rows)
        return (f"{','.join(letters)}->{output}", *found), {}

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for tensor in _parameters(args, kwargs):
            self.unknown.update(self._recorder.names_behind(tensor))
            if name in _MULTIPLYING and tensor.dim() > 1:
                self._recorder.note_weight(tensor)


def _parameters(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """Return the tensors that require gradient and are made of parameters alone."""
    return [t for t in tensors((args, kwargs)) if t.requires_grad and not depends(t)]


def _replaced(value: Any, found: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return found.get(id(value), value)
    if isinstance(value, list | tuple):
        return type(value)(_replaced(item, found) for item in value)
    if isinstance(value, dict):
        return {key: _replaced(item, found) for key, item in value.items()}
    return value


def _constant(value: Any) -> Any:
    """Return ``value`` with what is made of parameters as constants."""
    own = {id(t): t.detach() for t in tensors(value) if t.requires_grad and not depends(t)}
    return _replaced(value, own)


def _with_flat_operands(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return einsum's arguments with operands one by one, as it also takes them in a list."""
    if len(args) == 2 and isinstance(args[1], list | tuple):
        return (args[0], *args[1])
    return args
