"""Lets a kernel of one's own fail: the plain form computes instead, and one line says why."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from nas_search.core.memory import is_out_of_memory

Result = TypeVar("Result")

_failed: dict[str, str] = {}
"""Why a kernel is not used any more in this process, by its name."""


def usable(name: str, device: torch.device) -> bool:
    """Say whether the kernel ``name`` may run on ``device``: on a GPU, and where it never failed.

    With ``TRITON_INTERPRET=1`` kernels run on a CPU, slowly, as their tests do.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return name not in _failed and (device.type == "cuda" or interpreted)


def attempt(name: str, kernel: Callable[[], Result], plain: Callable[[], Result]) -> Result:
    """Return what ``kernel`` computes; what ``plain`` does where the kernel fails, and ever after.

    No kernel, no compiler, or one that has no idea of this GPU: none of it may end a search. When
    memory ends, the kernel is not to blame, and what to do is the caller's to say.

    Raises:
        Exception: memory has ended.
    """
    if name not in _failed:
        try:
            return kernel()
        except Exception as error:
            if is_out_of_memory(error):
                raise
            lines = str(error).strip().splitlines() or [""]
            _failed[name] = f"{type(error).__name__}: {lines[0]}"
            warnings.warn(
                f"the kernel '{name}' does not run here ({_failed[name]}): "
                "torch's own operations compute the same, in more time",
                stacklevel=2,
            )
    return plain()
