"""Initial weights as a function of (seed, parameter name) alone.

A parameter's name says where it stands and which operation it belongs to, so two architectures that
have the same operation at the same position start from the same draw there, whatever else they
hold: candidates are compared under common random numbers, and neither the order in which modules
are built nor the number of workers changes a score.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nas_search.errors import InputError

Scheme = Literal["default", "kaiming_normal"]
"""``default``: torch's own, U(-b, b) with b = 1/sqrt(fan_in) for weights and biases of convolutions
and linear layers. ``kaiming_normal``: N(0, 2/fan_in) for weights (He et al. 2015), zero biases.
Batch-norm starts at scale 1 and shift 0 in both."""

SCHEMES: tuple[str, ...] = get_args(Scheme)


def initialise(
    network: nn.Module, seed: int, scheme: Scheme = "default", draw: int = 0
) -> nn.Module:
    """Draw every parameter of ``network`` in place and reset its running statistics.

    Args:
        network: any network of convolutions, linear layers and batch-norm; parameters may be
            uninitialised memory.
        seed: the run's seed.
        scheme: distribution of the weights.
        draw: number of the draw within the run; all (seed, draw) are independent of each other.

    Returns:
        ``network`` itself.

    Raises:
        InputError: the scheme is unknown, or a layer with parameters is of another kind.
    """
    if scheme not in SCHEMES:
        raise InputError(f"unknown init '{scheme}'; possible: {', '.join(SCHEMES)}")
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                _fill(module.weight, f"{seed}/{draw}/{name}.weight", scheme, fan_in)
                if module.bias is not None:
                    _fill(module.bias, f"{seed}/{draw}/{name}.bias", scheme, fan_in)
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_parameters()
            elif next(module.parameters(recurse=False), None) is not None:
                raise InputError(
                    f"layer '{name}' ({type(module).__name__}) has parameters but no initial "
                    "distribution; known: Conv2d, Linear, BatchNorm1d, BatchNorm2d"
                )
    return network


def _fill(parameter: Tensor, key: str, scheme: Scheme, fan_in: int) -> None:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    # Drawn on the CPU in float32 always: the same numbers on every device and in every precision.
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    values = torch.empty(parameter.shape)
    if scheme == "default":
        bound = 1 / math.sqrt(fan_in)
        values.uniform_(-bound, bound, generator=generator)
    elif parameter.dim() == 1:
        values.zero_()
    else:
        values.normal_(0, math.sqrt(2 / fan_in), generator=generator)
    parameter.copy_(values)
