"""Initial weights as a function of (seed, parameter name) alone.

A parameter's name says where it stands and which operation it belongs to, so two architectures that
have the same operation at the same position start from the same draw there, whatever else they
hold: candidates are compared under common random numbers, and neither the order in which modules
are built nor the number of workers changes a score.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.layers.initial_weights import SCHEMES, Distribution, Scheme
from nas_search.layers.rule import known_layers, rules_by_kind

Network = TypeVar("Network", bound=nn.Module)


def initialize(
    network: Network, seed: int, scheme: Scheme = "default", draw: int = 0, prefix: str = ""
) -> Network:
    """Draw every parameter of ``network`` in place and reset its running statistics.

    Args:
        network: any network of layers of the book; parameters may be uninitialized memory.
        seed: the run's seed.
        scheme: distribution of the weights.
        draw: number of the draw within the run; all (seed, draw) are independent of each other.
        prefix: name of ``network`` in the network that it is a part of; empty for a whole one.

    Returns:
        ``network`` itself.

    Raises:
        InputError: the scheme is unknown, or a layer with parameters is not in the book.
    """
    if scheme not in SCHEMES:
        raise InputError(f"unknown init '{scheme}'; possible: {', '.join(SCHEMES)}")
    rules = rules_by_kind()
    with torch.no_grad():
        for name, module in network.named_modules(prefix=prefix):
            rule = rules.get(type(module))
            own = dict(module.named_parameters(recurse=False))
            if rule is not None and rule.initial_weights is not None:
                distributions = rule.initial_weights(module, scheme)
                for local, parameter in own.items():
                    key = f"{seed}/{draw}/{name}.{local}"
                    _fill(parameter, key, distributions[local])
                if hasattr(module, "reset_running_stats"):
                    module.reset_running_stats()
            elif own:
                raise InputError(
                    f"layer '{name}' ({type(module).__name__}) has parameters but no initial "
                    f"distribution; known: {known_layers()}"
                )
    return network


def derived_seed(key: str) -> int:
    """Return a seed in [0, 2^63) that follows from ``key`` alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _fill(parameter: Tensor, key: str, distribution: Distribution) -> None:
    # Drawn on the CPU in float32 always: the same numbers on every device and in every precision.
    generator = torch.Generator().manual_seed(derived_seed(key))
    values = torch.empty(parameter.shape, dtype=torch.float32)
    distribution.fill(values, generator)
    parameter.copy_(values)
