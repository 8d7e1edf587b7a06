"""Where the samples lie in what a function returns.

Other axes may be as long as there are samples (heads, tokens, channels), so lengths alone do not
tell. Views that keep the elements in their order are followed by counting; of everything else, the
axis of the samples is the one that grows with their number. What still is not known is refused:
a network is checked with a few samples, and what is told apart there may be alike in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients.standing import BROADCASTING, PRODUCTS
from nas_search.layers.dependence import depends, mark, samples_axis, tensors

Function = Callable[..., Any]

_MOVING = {"transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "t", "adjoint"}
_TRANSPOSED = {
    getattr(Tensor, name).__get__ for name in ("T", "mT", "H", "mH")
}  # what reading these properties calls
_RESHAPING = {
    *("reshape", "reshape_as", "view", "view_as", "flatten", "unflatten", "ravel"),
    *("squeeze", "unsqueeze"),
}
"""Functions that leave the elements in their order."""
_REPEATING = {"expand", "expand_as", "broadcast_to", "repeat", "tile"}
"""Functions that add axes in front."""
_KEEPING = (
    BROADCASTING
    | PRODUCTS
    | {"to", "cpu", "cuda", "type", "type_as", "clone", "contiguous", "detach", "dropout"}
    | {"neg", "exp", "sqrt", "rsqrt", "square", "normalize", "layer_norm", "softmax", "log_softmax"}
    | {"relu", "gelu", "silu", "hardswish", "tanh", "sigmoid", "scaled_dot_product_attention"}
)
"""Functions that leave every axis in its place: called often, or not to be run without values."""
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
"""Functions that return states after their output: layers first, then samples."""
_NEW = {"new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"}
"""Functions that take no more than dtype and device of their tensor."""


class AxisUnknown(InputError):
    """Raised where it is not known which axis of a tensor the samples lie along."""


def in_place(func: Function) -> bool:
    """Say whether ``func`` changes its first argument."""
    name = getattr(func, "__name__", "")
    if name.endswith("__"):
        return name.startswith("__i") or name == "__setitem__"
    return name.endswith("_")


def before_move(func: Function, args: tuple[Any, ...]) -> tuple[Function, Tensor] | None:
    """Return the function that moves axes like ``func`` does in place, and a tensor to move.

    Args:
        func: the function, e.g. ``Tensor.transpose_``.
        args: its arguments, before it runs.

    Returns:
        E.g. ``Tensor.transpose``, and a tensor of the shape that the first argument has now; None
        for all other functions.
    """
    name = getattr(func, "__name__", "")
    if not name.endswith("_") or name[:-1] not in _MOVING | _RESHAPING or not depends(args[0]):
        return None
    before = torch.empty(args[0].shape, device="meta")
    mark(before, samples_axis(args[0]))
    return getattr(Tensor, name[:-1]), before


def axis_after(
    func: Function,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Tensor,
    place: int,
    first: Tensor,
    *,
    samples: int,
    guess: bool,
) -> int | None:
    """Return where the samples lie in a result of ``func``; None where it has none of them.

    Samples that were folded into the axis behind are taken for the first: the check of the
    network's first pass says whether that is right.

    Args:
        func: the function.
        args: its arguments.
        kwargs: those by name.
        result: a tensor that came out.
        place: its number among the results, see :func:`results_of`.
        first: the argument of most axes that depends on the samples.
        samples: how many there are; an axis may be a multiple as long, e.g. that of all heads.
        guess: whether any axis will do where several are possible.

    Raises:
        AxisUnknown: several axes are as long as there are samples, and nothing tells them apart.
    """
    name = getattr(func, "__name__", "")
    if name in _NEW:  # made for the samples where it has a row for each
        if result.shape == first.shape:
            return samples_axis(first)
        rows = [p for p in range(result.dim()) if result.shape[p] == samples]
        return rows[0] if rows and (len(rows) == 1 or samples == 1) else None
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
        return next((p for p in places if _holds(result.shape[p], samples)), 0)
    if name in _REPEATING:
        return axis + result.dim() - first.dim()
    if name in _RECURRENT and result.dim() == 3:
        return 1 if place else axis
    kept = first.dim() == result.dim() and result.shape[axis] == size
    if kept and (name in _KEEPING or samples == 1 or result.shape.count(size) == 1):
        return axis
    growing = _growing_axes(func, args, kwargs, result, place, size)
    if growing:
        return next((p for p in growing if result.shape[p] == size), growing[0])
    if kept and (guess or growing is not None):  # e.g. a slice that says how many samples there are
        return axis
    possible = [p for p in range(result.dim()) if result.shape[p] == size]
    if len(possible) > 1 and samples > 1 and not guess:
        raise AxisUnknown(f"{name} returns {unknown(result, size)}")
    return possible[0] if possible else 0


def unknown(tensor: Tensor, size: int) -> str:
    """Return, for a message, that it is not known along which axis of ``size`` the samples lie."""
    return (
        f"a tensor of shape {tuple(tensor.shape)}, and which of its axes of length {size} are the "
        "samples is not known"
    )


def _holds(length: int, samples: int) -> bool:
    """Say whether an axis may be that of the samples, with what was folded behind them."""
    return length % samples == 0 if samples > 1 else length == 1


def results_of(
    func: Function, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> list[Tensor]:
    """Return the tensors that a call has made or changed."""
    changed = [args[0]] if args and isinstance(args[0], Tensor) and in_place(func) else []
    return [*tensors(result), *changed, *tensors(kwargs.get("out"))]


def _growing_axes(
    func: Function,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Tensor,
    place: int,
    size: int,
) -> list[int] | None:
    """Return the axes of a result that are longer where there are more samples; None if unknown."""
    for args_of_more, kwargs_of_more in _with_more_samples(args, kwargs, size):
        try:
            with torch.no_grad():
                found = func(*args_of_more, **kwargs_of_more)
            shape = results_of(func, args_of_more, kwargs_of_more, found)[place].shape
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError, AttributeError):
            continue  # e.g. a constant does not fit, or values are needed
        return [p for p in range(result.dim()) if shape[p] != result.shape[p]]
    return None


def _with_more_samples(
    args: tuple[Any, ...], kwargs: dict[str, Any], size: int
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield the arguments without values and with more samples than the ``size`` there are.

    A constant, e.g. a first hidden state, may have been made for the samples: first all are taken
    as they are, then those grow that are as long along their first axis, their second, ...
    """

    def grown(value: Any, along: int | None) -> Any:
        if isinstance(value, Tensor):
            shape = list(value.shape)
            axis = samples_axis(value) if depends(value) else along
            if axis is not None and (depends(value) or _may_grow(value, axis, size)):
                shape[axis] = 2 * shape[axis] + 1
            return torch.empty(shape, dtype=value.dtype, device="meta")
        if type(value) in (list, tuple):
            return type(value)(grown(item, along) for item in value)
        return value

    constants = [tensor for tensor in tensors((args, kwargs)) if not depends(tensor)]
    longest = max((tensor.dim() for tensor in constants), default=0)
    places = [p for p in range(longest) if any(_may_grow(t, p, size) for t in constants)]
    for along in (None, *places):
        yield grown(args, along), {key: grown(value, along) for key, value in kwargs.items()}


def _may_grow(constant: Tensor, axis: int, size: int) -> bool:
    return (
        not isinstance(constant, nn.Parameter)
        and axis < constant.dim()
        and constant.shape[axis] == size
    )
