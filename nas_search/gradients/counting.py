"""Counts what one forward pass of a network costs, by the functions that it calls."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_search.gradients.calls import FunctionCalls, Handler
from nas_search.layers.rule import LayerRule, rules_by_function

MULTIPLYING = frozenset(
    (
        *("einsum", "tensordot", "addbmm", "chain_matmul", "multi_dot", "linear", "bilinear"),
        *("conv1d", "conv2d", "conv3d"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("lstm", "gru", "rnn_tanh", "rnn_relu"),
        *("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    )
)
"""Functions of torch that multiply: how often, only a layer of the book can know."""

PRODUCTS = {
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot"), 0),
    **dict.fromkeys(("rmatmul", "addmm", "baddbmm", "addmv"), 1),
}
"""Products of matrices, and which argument is the first of the two."""


class Count(NamedTuple):
    """What a network is and what one forward pass of it takes.

    Attributes:
        params: number of trainable parameters.
        macs: multiply-accumulates.
        saved: elements of activations that the layers of the book keep for their backward passes;
            what two layers both keep counts twice.
        uncounted: functions that multiply and that no layer of the book counts, by name.
    """

    params: int
    macs: int
    saved: int
    uncounted: tuple[str, ...] = ()


class _Counting(FunctionCalls):
    """Counts products of matrices, and notes which other functions of samples multiply."""

    def __init__(self, network: nn.Module, handlers: dict[Callable[..., Any], Handler]) -> None:
        super().__init__(network, handlers)
        self.uncounted: set[str] = set()
        self.products = 0

    def unknown(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        if name in PRODUCTS:
            first = [*args, *kwargs.values()][PRODUCTS[name]]
            self.products += result.numel() * first.shape[-1]
        elif name in MULTIPLYING:
            self.uncounted.add(name)
        return result


def count_network(network: nn.Module, input: Tensor) -> Count:
    """Count ``network`` by running it once, without gradients, on ``input`` (n, ...).

    Functions count that the book knows, and products of matrices, whatever module calls them. The
    network runs in the mode
    that it is in; on the meta device at no cost.
    """
    macs = saved = 0

    def counted(
        function: Callable[..., Any], rule: LayerRule, name: str, *args: Any, **kwargs: Any
    ) -> Any:
        nonlocal macs, saved
        output = function(*args, **kwargs)
        macs += rule.macs(output, *args, **kwargs) if rule.macs else 0
        saved += rule.saved(output, *args, **kwargs) if rule.saved else 0
        return output

    handlers = {
        function: Handler(rule, partial(counted, function, rule))
        for function, rule in rules_by_function().items()
        if rule.macs or rule.saved
    }
    calls = _Counting(network, handlers)
    with torch.no_grad(), calls:
        network(input)
    params = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return Count(params, macs + calls.products, saved, tuple(sorted(calls.uncounted)))


def uncounted_remark(names: Collection[str]) -> str:
    """Return what is to be said of MACs that lack those of some functions; empty for none."""
    if not names:
        return ""
    return (
        f"MACs do not count what {', '.join(sorted(names))} multiplies: no layer of the book does "
        "(docs/extending.md says how to add one)"
    )
