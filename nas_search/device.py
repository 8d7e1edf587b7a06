"""Which torch device a name in the configuration means, and how exactly it computes."""

from __future__ import annotations

import torch

from nas_search.errors import InputError
from nas_search.gradients import Precision


def resolve_device(name: str) -> str:
    """Return the torch device for ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        InputError: there is no such device on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device '{name}'; possible: auto, cpu, cuda, cuda:N") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            raise InputError(f"device={name} asks for a GPU and torch sees none; use device=cpu")
        if device.index is not None and device.index >= count:
            raise InputError(f"device={name}: torch sees {count} GPUs, cuda:0 to cuda:{count - 1}")
    elif device.type != "cpu":
        raise InputError(f"device '{name}' is not supported; possible: auto, cpu, cuda, cuda:N")
    return name


def set_precision(precision: Precision) -> None:
    """Let GPUs in this process round to TF32 or not; torch's own default is half of each."""
    rounds = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = rounds
    torch.backends.cudnn.allow_tf32 = rounds
