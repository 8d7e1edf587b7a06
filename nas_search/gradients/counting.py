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
        *("matmul", "rmatmul", "mm", "bmm", "mv", "dot", "addmm", "addbmm", "baddbmm", "addmv"),
        *("einsum", "tensordot", "chain_matmul", "multi_dot", "linear", "bilinear"),
        *("conv1d", "conv2d", "conv3d"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("lstm", "gru", "rnn_tanh", "rnn_relu"),
        *("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    )
)
"""Functions of torch whose multiply-accumulates count, where the book knows how many they are."""


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
    """Notes which functions of samples multiply unseen."""

    def __init__(self, network: nn.Module, handlers: dict[Callable[..., Any], Handler]) -> None:
        super().__init__(network, handlers)
        self.uncounted: set[str] = set()

    def unknown(self, func: Callable[..., Any]) -> None:
        name = getattr(func, "__name__", "").strip("_")
        if name in MULTIPLYING:
            self.uncounted.add(name.replace("rmatmul", "matmul"))


def count_network(network: nn.Module, input: Tensor) -> Count:
    """Count ``network`` by running it once, without gradients, on ``input`` (n, ...).

    Functions count that the book knows, whatever module calls them. The network runs in the mode
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
    with torch.no_grad(), _Counting(network, handlers) as calls:
        network(input)
    params = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return Count(params, macs, saved, tuple(sorted(calls.uncounted)))


def uncounted_remark(names: Collection[str]) -> str:
    """Return what is to be said of MACs that lack those of some functions; empty for none."""
    if not names:
        return ""
    return (
        f"MACs do not count what {', '.join(sorted(names))} multiplies: no layer of the book does "
        "(docs/extending.md says how to add one)"
    )
