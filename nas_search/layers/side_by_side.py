"""Layers of many edges in one call: values (n, E, C, H, W) of E edges side by side.

Every edge has weights of its own and belongs to one candidate. The convolutions of a kind, at
whatever places of the networks, are one call, and so are their gradients, their Gram matrices and
their batch statistics. For the pass of per-sample gradients of weights, with ``frozen`` statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_search.kernels import shifted_products
from nas_search.kernels.grams import terms_side_by_side
from nas_search.layers.convolution_gradient import Geometry, input_gradient, weight_gradient
from nas_search.stacked.routing import Moves

Owner = tuple[str, int]
"""A parameter's name and the number of a candidate that has it."""

Lazy = Callable[[], Tensor]


class Known(NamedTuple):
    """Gram matrices that are computed when they are first asked for.

    Attributes:
        grams: returns their terms, see :func:`nas_search.kernels.grams.terms_side_by_side`.
        places: numbers of those of each edge; None where there is one per edge, in order.
    """

    grams: Lazy
    places: Sequence[int] | None = None


class EdgeSink(Protocol):
    """Receives the per-sample gradients of many edges at once."""

    def add_edges(
        self, owners: Sequence[Owner], rows: Tensor, inputs: Known, errors: Known
    ) -> None:
        """Take the gradients of ``owners``.

        Args:
            owners: one per edge.
            rows: (n, E, P), each sample's gradient, its elements in any order that all have.
            inputs: the Gram matrices of what enters.
            errors: those of the gradients of what leaves.
        """
        ...


class Weights(NamedTuple):
    """The weights of some edges.

    Attributes:
        values: (E, ...), or (1, ...) where all have the same.
        owners: one per edge.
    """

    values: Tensor
    owners: Sequence[Owner]


class Kernels(NamedTuple):
    """Convolutions of one kind.

    Attributes:
        weights: of the edges: (E, C, 1, k, k) of depthwise ones, or (O, C, k, k) of dense ones that
            all edges have in common.
        geometry: how they move over their input; its groups are not read.
    """

    weights: Weights
    geometry: Geometry


class EdgeLayers:
    """The layers, whose gradients go to ``sinks``."""

    def __init__(self, sinks: Sequence[EdgeSink]) -> None:
        self._sinks = sinks

    def pointwise(
        self, x: Tensor, weights: Weights, stride: int = 1, inputs: Known | None = None
    ) -> Tensor:
        """Return 1 x 1 convolutions of ``x`` (n, E, C, H, W) with weights (E, O, C).

        Args:
            x: the input.
            weights: of the edges.
            stride: of the convolutions.
            inputs: the Gram matrices of ``x``, where they are known already.
        """
        inputs = inputs or _later(x)
        y: Tensor = _Pointwise.apply(x, weights, stride, inputs, self._sinks)
        return y

    def convolutions(
        self,
        xs: Sequence[Tensor],
        kernels: Sequence[Kernels],
        inputs: Sequence[Known] | None = None,
    ) -> Tensor:
        """Return convolutions of several kinds, side by side in the order given.

        Args:
            xs: the input of each kind, (n, e, C, H, W).
            kernels: of each kind.
            inputs: the Gram matrices of each input, where they are known already.
        """
        if inputs is None:
            inputs = [_later(x) for x in xs]
        y: Tensor = _Convolutions.apply(kernels, inputs, self._sinks, *xs)
        return y

    def batch_norm(self, x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        """Return ``x`` normalized with each edge's batch statistics, constant in backward.

        Args:
            x: (n, E, C, H, W).
            scale: (E, C), or (1, C) for all.
            shift: the same.
            eps: added to the variance.
        """
        y: Tensor = _BatchNorm.apply(x, scale, shift, eps)
        return y


def _later(x: Tensor) -> Known:
    return Known(lambda: terms_side_by_side(x))


def _hand_over(
    sinks: Sequence[EdgeSink], owners: Sequence[Owner], rows: Tensor, inputs: Known, errors: Known
) -> None:
    for sink in sinks:
        sink.add_edges(owners, rows, inputs, errors)


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Weights,
        stride: int,
        inputs: Known,
        sinks: Sequence[EdgeSink],
    ) -> Tensor:
        ctx.layers = 1
        seen = x[..., ::stride, ::stride] if stride > 1 else x
        positions = seen.flatten(3)  # (n, E, C, T)
        matrices = _of_samples(weights.values, x)
        y = torch.bmm(matrices, positions.flatten(0, 1))
        small = 4 * matrices.numel() <= positions.numel()  # else they are made anew
        ctx.save_for_backward(positions, matrices if small else None)
        ctx.weights, ctx.stride, ctx.inputs, ctx.sinks = weights, stride, inputs, sinks
        ctx.shape = x.shape
        return y.view(*seen.shape[:2], -1, *seen.shape[3:])

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,) = errors
        positions, matrices = ctx.saved_tensors
        stride = ctx.stride
        flat = error.flatten(3).flatten(0, 1)  # (n E, O, T)
        rows = torch.bmm(flat, positions.flatten(0, 1).mT)
        rows = rows.view(*positions.shape[:2], -1)
        owners = ctx.weights.owners
        _hand_over(ctx.sinks, owners, rows, ctx.inputs, _later(error))
        grad_x = None
        if ctx.needs_input_grad[0]:
            if matrices is None:
                matrices = _of_samples(ctx.weights.values, positions)
            grad = torch.bmm(matrices.mT, flat)
            grad_x = grad.view(*ctx.shape[:3], *error.shape[3:])
            if stride > 1:
                grad_x, seen = error.new_zeros(ctx.shape), grad_x
                grad_x[..., ::stride, ::stride] = seen
        return grad_x, None, None, None, None


def _of_samples(values: Tensor, x: Tensor) -> Tensor:
    """Return the matrices (E, O, C) of every sample's edges, (n E, O, C)."""
    own: Tensor = values.expand(*x.shape[:2], *values.shape[1:]).flatten(0, 1)
    return own


class _Convolutions(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kernels: Sequence[Kernels],
        inputs: Sequence[Known],
        sinks: Sequence[EdgeSink],
        *xs: Tensor,
    ) -> Tensor:
        ctx.layers = 1
        ctx.kernels, ctx.inputs, ctx.sinks = kernels, inputs, sinks
        ctx.save_for_backward(*xs)
        sizes = [x.shape[1] for x in xs]
        begins = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
        ctx.sizes = sizes
        put = [list(range(a, b)) for a, b in pairwise(begins)]
        ctx.moves = Moves(begins[-1], put=put)
        results = []
        for x, (weights, g) in zip(xs, kernels, strict=True):
            folded, kernel, groups = _folded(x, weights.values)
            y = F.conv2d(folded, kernel, None, g.stride, g.padding, g.dilation, groups)
            results.append(y.view(*x.shape[:2], -1, *y.shape[2:]))
        return results[0] if len(results) == 1 else torch.cat(results, 1)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (error,), xs = errors, ctx.saved_tensors
        of_errors = _Once(lambda: terms_side_by_side(error))
        ends = list(accumulate(ctx.sizes, initial=0))
        together = _by_products(xs, ctx.kernels)
        if together:
            _products(ctx, error, xs, together, of_errors, ends)
        grads: list[Tensor | None] = []
        each = zip(xs, ctx.kernels, _separate(error, ctx.sizes), strict=True)
        for number, (x, (weights, g), own_error) in enumerate(each):
            begin, end = ends[number], ends[number + 1]
            folded, kernel, groups = _folded(x, weights.values)
            own_error = _folded(own_error, weights.values)[0]
            geometry = Geometry(g.stride, g.padding, g.dilation, groups)
            if number not in together:
                rows = weight_gradient(folded, own_error, kernel, geometry)
                rows = rows.view(len(x), x.shape[1], -1)
                known = Known(of_errors, range(begin, end))
                _hand_over(ctx.sinks, weights.owners, rows, ctx.inputs[number], known)
            grad = None
            if ctx.needs_input_grad[3 + number]:
                grad = input_gradient(folded, own_error, kernel, geometry).view(x.shape)
            grads.append(grad)
        return None, None, None, *grads


def _separate(error: Tensor, sizes: Sequence[int]) -> Iterable[Tensor]:
    """Return consecutive parts of ``error`` (n, E, C, H, W), each dense."""
    if len(sizes) == 1 or not _at_once(error):  # a part is copied when its turn comes
        return (part.contiguous() for part in error.split(list(sizes), 1))
    parts = [error.new_empty(len(error), size, *error.shape[2:]) for size in sizes]
    torch.split_with_sizes_copy(error.contiguous(), list(sizes), 1, out=parts)  # one kernel
    return parts


def _at_once(error: Tensor) -> bool:
    """Say whether parts are copied in one call: a CPU's caches hold one of them."""
    return error.device.type != "cpu"


def _by_products(xs: Sequence[Tensor], kernels: Sequence[Kernels]) -> range:
    """Return which kinds, one after another, have their weight gradients in the same products."""
    alike = [
        number
        for number, (x, (weights, g)) in enumerate(zip(xs, kernels, strict=True))
        if weights.values.dim() == 4
        and shifted_products.worthwhile(x, weights.values, g.stride, g.dilation, 1)
    ]
    if not alike:
        return range(0)
    first, last = alike[0], alike[-1]
    same = all(
        kernels[n].weights.values.shape == kernels[first].weights.values.shape
        and kernels[n].geometry == kernels[first].geometry
        for n in alike
    )
    return range(first, last + 1) if same and len(alike) == last + 1 - first else range(0)


def _products(
    ctx: Any,
    error: Tensor,
    xs: Sequence[Tensor],
    kinds: range,
    of_errors: Lazy,
    ends: Sequence[int],
) -> None:
    """Hand over the weight gradients of some ``kinds`` of dense convolutions, made together."""
    weights, geometry = ctx.kernels[kinds.start]
    begin, end = ends[kinds.start], ends[kinds.stop]
    x = torch.cat([xs[n] for n in kinds], 1) if len(kinds) > 1 else xs[kinds.start]
    taps = shifted_products.taps(x, error[:, begin:end], weights.values, geometry.padding)
    rows = taps.view(len(x), x.shape[1], -1)  # the sinks of many edges take columns in any order
    inputs = [ctx.inputs[n] for n in kinds]
    if all(own.grams is inputs[0].grams and own.places is not None for own in inputs):
        owners = [owner for n in kinds for owner in ctx.kernels[n].weights.owners]
        places = [place for own in inputs for place in own.places]
        known = Known(inputs[0].grams, places)
        _hand_over(ctx.sinks, owners, rows, known, Known(of_errors, range(begin, end)))
        return
    for n, known in zip(kinds, inputs, strict=True):
        part = rows[:, ends[n] - begin : ends[n + 1] - begin]
        own_errors = Known(of_errors, range(ends[n], ends[n + 1]))
        _hand_over(ctx.sinks, ctx.kernels[n].weights.owners, part, known, own_errors)


def _folded(x: Tensor, values: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the maps (n, e, C, H, W) and kernels of one ordinary convolution, and its groups."""
    if values.dim() == 4:
        return x.flatten(0, 1), values, 1
    return x.flatten(1, 2), values.flatten(0, 1), x.shape[1] * x.shape[2]


class _Once:
    """Computes a tensor when it is first asked for."""

    def __init__(self, compute: Lazy) -> None:
        self._compute = compute
        self._value: Tensor | None = None

    def __call__(self) -> Tensor:
        if self._value is None:
            self._value = self._compute()
        return self._value


def once(compute: Lazy) -> Lazy:
    """Return ``compute``, which then runs once and only if it is called."""
    return _Once(compute)


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        edges = x.shape[1]
        scales, shifts = (values.expand(edges, -1).flatten() for values in (scale, shift))
        y, _, rstd = torch.native_batch_norm(
            x.flatten(1, 2), scales, shifts, None, None, True, 0.0, eps
        )
        ctx.save_for_backward((rstd * scales).view(1, *x.shape[1:3], 1, 1))
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        (factor,) = ctx.saved_tensors
        return errors[0] * factor, None, None, None


def factorized_reduce(
    layers: EdgeLayers,
    x: Tensor,
    even: Weights,
    odd: Weights,
    norm: tuple[Tensor, Tensor, float],
    inputs: Known | None = None,
) -> Tensor:
    """Return two 1 x 1 convolutions of stride 2, the second one pixel off, and batch-norm.

    Args:
        layers: where the gradients go.
        x: (n, E, C, H, W), after the ReLU.
        even: weights of the first.
        odd: weights of the second.
        norm: scale, shift and eps.
        inputs: the Gram matrices of ``x``, where they are known.
    """
    height, width = x.shape[-2:]
    shifted = x
    if height % 2 or width % 2:
        shifted = F.pad(x, (0, width % 2, 0, height % 2))
    parts = (
        layers.pointwise(x, even, 2, inputs),
        layers.pointwise(shifted[..., 1:, 1:], odd, 2),
    )
    return layers.batch_norm(torch.cat(parts, 2), *norm)


def shared(parameter: Tensor, name: str, candidates: int, dims: int = 2) -> Weights:
    """Return the weights of a layer that every candidate has, as those of K edges."""
    values = parameter.detach().flatten(dims - 1)[None]
    return Weights(values, [(name, candidate) for candidate in range(candidates)])
