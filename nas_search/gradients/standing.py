"""Parameters that stand alone: class tokens, positions, layer scales, tables of relative positions.

They belong to no layer of the book; the network adds them to samples, multiplies samples with them,
or sets them beside samples. Here such a parameter, or what the network made of it, gets a row per
sample first: the gradient of that row is the sample's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nas_search.gradients.calls import depends, tensors
from nas_search.layers import linear
from nas_search.layers.recorder import Recorder, Recording
from nas_search.layers.sample_gradient import DenseGradient

_BROADCASTING = frozenset(
    name
    for stem in ("add", "sub", "mul", "div", "true_divide", "pow", "maximum", "minimum")
    for name in (stem, f"{stem}_", f"__{stem}__", f"__r{stem}__", f"__i{stem}__")
) | {"where", "addcmul", "addcmul_", "lerp", "__truediv__", "__rtruediv__", "__itruediv__"}

_BESIDE = frozenset({"cat", "concat", "concatenate", "stack"})
_PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__"})

_MULTIPLYING = frozenset(
    {"matmul", "einsum", "bmm", "mm", "addmm", "baddbmm", "tensordot", "bilinear"}
    | {"lstm", "gru", "rnn_tanh", "rnn_relu", "conv3d", "conv_transpose3d"}
    | {"__matmul__", "__rmatmul__"}
)
"""Functions that multiply inputs with a weight and that no rule knows."""


class Standing:
    """Runs functions that take samples and parameters and that no rule knows.

    Args:
        recorder: takes the gradients.

    Attributes:
        unknown: names of the parameters that were used in ways that are not known here; whether
            inputs are multiplied with them.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.unknown: dict[str, bool] = {}
        self._recorder = recorder

    def __call__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run ``func`` with a row per sample for each parameter, where that means the same."""
        name = getattr(func, "__name__", "")
        if name in _PRODUCTS and len(args) == 2 and not kwargs:
            product = self._product(*args)
            if product is not None:
                return product
        rows = self._rows(name, args, kwargs)
        if rows is None:
            self._note(func, name, args, kwargs)
            return func(*args, **kwargs)
        rank, lead = rows

        def with_rows(value: Any) -> Any:
            if isinstance(value, Tensor) and value.requires_grad and not depends(value):
                return self._per_sample(func, name, value, rank, lead)
            if isinstance(value, list | tuple):
                return type(value)(with_rows(item) for item in value)
            return value

        return func(*with_rows(args), **{key: with_rows(value) for key, value in kwargs.items()})

    def _product(self, first: Tensor, second: Tensor) -> Tensor | None:
        """Return ``first @ second`` by the rule of linear layers; None where it is none."""
        weight, x = (first, second) if depends(second) else (second, first)
        if depends(weight) or weight.dim() != 2 or x.dim() < 2 or len(x) % self._recorder.rows:
            return None
        if weight is second:
            return linear.per_sample(self._recorder, x, weight.mT)
        return linear.per_sample(self._recorder, x.mT, weight).mT if x.dim() > 2 else None

    def _rows(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[int, int] | None:
        """Return the rank of the result and its number of rows; None where samples may not lead."""
        seen = list(tensors((args, tuple(kwargs.values()))))
        samples = [tensor for tensor in seen if depends(tensor)]
        if name in _BROADCASTING:
            shape = torch.broadcast_shapes(*(tensor.shape for tensor in seen))
        elif name in _BESIDE:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            if axis == 0 or not isinstance(axis, int):
                return None
            shape = samples[0].shape
        elif name == "scaled_dot_product_attention":
            shape = samples[0].shape
        else:
            return None
        if not shape or shape[0] % self._recorder.rows:
            return None
        return len(shape), shape[0]

    def _per_sample(
        self, func: Callable[..., Any], name: str, value: Tensor, rank: int, lead: int
    ) -> Tensor:
        recording = self._recorder.used(value)
        if recording is None:
            return value
        if value.dim() == rank and len(value) == lead:
            return _Beside.apply(value, recording, self._recorder)
        padded = value.reshape(*(1,) * (rank - value.dim()), *value.shape)
        if name in _BESIDE or len(padded) != 1:
            self._recorder.forget(recording)
            self._note(func, name, (value,), {})
            return value
        return _Rows.apply(padded, lead, recording, self._recorder)

    def _note(self, func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> None:
        for tensor in tensors((args, tuple(kwargs.values()))):
            if tensor.requires_grad and not depends(tensor):
                for parameter in self._recorder.names_behind(tensor):
                    before = self.unknown.get(parameter, False)
                    self.unknown[parameter] = before or name in _MULTIPLYING


class _Rows(torch.autograd.Function):
    """From (1, ...) to a row of it for each of (m, ...)."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, lead: int, recording: Recording, recorder: Recorder
    ) -> Tensor:
        ctx.recording, ctx.recorder = recording, recorder
        return value.expand(lead, *value.shape[1:])

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[None, ...]:
        (error,) = errors
        ctx.recorder.add(ctx.recording, DenseGradient(error.flatten(1)))
        return None, None, None, None


class _Beside(torch.autograd.Function):
    """The identity of a tensor that has its rows already, e.g. an expanded class token."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, recording: Recording, recorder: Recorder) -> Tensor:
        ctx.recording, ctx.recorder, ctx.samples = recording, recorder, recorder.rows
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[None, ...]:
        (error,) = errors
        samples: int = ctx.samples
        own = error.new_zeros(samples, samples, error.numel() // samples)
        index = torch.arange(samples, device=error.device)
        own[index, index] = error.reshape(samples, -1)
        ctx.recorder.add(ctx.recording, DenseGradient(own.flatten(1)))
        return None, None, None
