"""Initial weights as a function of (seed, parameter name) alone.

A parameter's name says where it stands and which operation it belongs to, so two architectures that
have the same operation at the same position start from the same draw there, whatever else they
hold: candidates are compared under common random numbers, and neither the order in which modules
are built nor the number of workers changes a score.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import SCHEMES, Scheme


def initialize(
    network: nn.Module, seed: int, scheme: Scheme = "default", draw: int = 0, prefix: str = ""
) -> nn.Module:
    """Draw every parameter of ``network`` in place and reset its running statistics.

    Args:
        network: any network of convolutions, linear layers and batch-norm; parameters may be
            uninitialized memory.
        seed: the run's seed.
        scheme: distribution of the weights.
        draw: number of the draw within the run; all (seed, draw) are independent of each other.
        prefix: name of ``network`` in the network that it is a part of; empty for a whole one.

    Returns:
        ``network`` itself.

    Raises:
        InputError: the scheme is unknown, or a layer with parameters is of another kind.
    """
    if scheme not in SCHEMES:
        raise InputError(f"unknown init '{scheme}'; possible: {', '.join(SCHEMES)}")
    with torch.no_grad():
        for name, module in network.named_modules(prefix=prefix):
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                # Torch counts all filters, whatever the groups: what fan_out means to the papers.
                fan_out = module.weight.numel() // module.weight.shape[1]
                fans = fan_in, fan_out
                _fill(module.weight, f"{seed}/{draw}/{name}.weight", scheme, fans)
                if module.bias is not None:
                    _fill(module.bias, f"{seed}/{draw}/{name}.bias", scheme, fans)
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_parameters()
            elif next(module.parameters(recurse=False), None) is not None:
                raise InputError(
                    f"layer '{name}' ({type(module).__name__}) has parameters but no initial "
                    "distribution; known: Conv2d, Linear, BatchNorm1d, BatchNorm2d"
                )
    return network


def derived_seed(key: str) -> int:
    """Return a seed in [0, 2^63) that follows from ``key`` alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _fill(parameter: Tensor, key: str, scheme: Scheme, fans: tuple[int, int]) -> None:
    # Drawn on the CPU in float32 always: the same numbers on every device and in every precision.
    generator = torch.Generator().manual_seed(derived_seed(key))
    values = torch.empty(parameter.shape, dtype=torch.float32)
    if scheme == "default":
        bound = 1 / math.sqrt(fans[0])
        values.uniform_(-bound, bound, generator=generator)
    elif parameter.dim() == 1:
        values.zero_()
    else:
        deviation = {
            "kaiming_normal": math.sqrt(2 / fans[0]),
            "kaiming_fan_out": math.sqrt(2 / fans[1]),
            "standard_normal": 1.0,
        }[scheme]
        values.normal_(0, deviation, generator=generator)
    parameter.copy_(values)
