"""Counts what one forward pass of a network costs, by the functions that it calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_search.gradients.calls import FunctionCalls, Handler
from nas_search.layers.rule import LayerRule, rules_by_function


class Count(NamedTuple):
    """What a network is and what one forward pass of it takes.

    Attributes:
        params: number of trainable parameters.
        macs: multiply-accumulates.
        saved: elements of activations that the layers of the book keep for their backward passes;
            what two layers both keep counts twice.
    """

    params: int
    macs: int
    saved: int


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
    with torch.no_grad(), FunctionCalls(network, handlers):
        network(input)
    params = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return Count(params, macs, saved)
