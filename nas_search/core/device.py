"""The torch device of a name in the configuration, and its arithmetic precision."""

from __future__ import annotations

from typing import Literal, get_args

from nas_search.core.errors import InputError

Precision = Literal["fp32", "tf32", "bf16"]
"""Arithmetic of convolutions and linear layers on single-precision numbers.

``fp32``
    single precision throughout.
``tf32``
    a GPU may round factors to 10 bits; elsewhere the same as ``fp32``.
``bf16``
    the pass of per-sample gradients keeps activations and their gradients in bfloat16 and sums in
    single precision; statistics, classifier and Gram matrices are in single precision. Other passes
    as ``tf32``. Only for constant batch statistics (``frozen``, ``eval``): with others, rounding
    error would be taken for a gradient that is exactly zero.
"""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def resolve_device(name: str) -> str:
    """Return the torch device for ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        InputError: this machine has no such device.
    """
    import torch  # imported here: it takes seconds, and messages need none

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device '{name}'; possible: auto, cpu, cuda, cuda:N") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            raise InputError(f"device={name} needs a GPU and torch finds none; use device=cpu")
        if device.index is not None and device.index >= count:
            raise InputError(f"device={name}: torch finds {count} GPUs, cuda:0 to cuda:{count - 1}")
    elif device.type != "cpu":
        raise InputError(f"device '{name}' is not supported; possible: auto, cpu, cuda, cuda:N")
    return name


def set_precision(precision: Precision) -> None:
    """Allow or forbid TF32 on GPUs in this process; torch allows it for convolutions by default."""
    import torch

    allowed = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
