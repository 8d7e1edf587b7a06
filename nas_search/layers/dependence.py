"""Which tensors of a forward pass depend on the samples, and along which axis the samples lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def mark(tensor: Tensor, axis: int = 0) -> None:
    """Note that ``tensor`` depends on the samples, which lie one after another along ``axis``."""
    with torch._C.DisableTorchFunction():
        tensor._samples_axis = axis  # type: ignore[attr-defined]


def unmark(tensor: Tensor) -> None:
    """Undo :func:`mark`."""
    tensor.__dict__.pop("_samples_axis", None)


def depends(tensor: Tensor) -> bool:
    """Say whether ``tensor`` was marked."""
    return "_samples_axis" in tensor.__dict__


def unplace(tensor: Tensor) -> None:
    """Note that ``tensor`` was made for the samples, along an axis that is not known."""
    with torch._C.DisableTorchFunction():
        tensor._samples_unplaced = True  # type: ignore[attr-defined]


def unplaced(tensor: Tensor) -> bool:
    """Say whether :func:`unplace` was called of ``tensor``."""
    return "_samples_unplaced" in tensor.__dict__


def samples_axis(tensor: Tensor) -> int:
    """Return the axis along which the samples of a marked tensor lie."""
    axis: int = tensor.__dict__["_samples_axis"]
    return axis


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        yield from tensors(tuple(value.values()))
