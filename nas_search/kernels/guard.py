"""Lets a kernel of one's own fail: the plain form computes instead, and one line says why."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from nas_search.core.memory import is_out_of_memory

TOLERANCE = 1e-2
"""Largest difference that rounding may make, in bfloat16, as a part of the largest number."""

TINY = 1e-30

_failed: dict[str, str] = {}
"""Why a kernel is not used any more in this process, by its name."""

_compared: set[str] = set()
"""Kernels whose first result was right."""


def usable(name: str, device: torch.device) -> bool:
    """Say whether the kernel ``name`` may run on ``device``: on a GPU, and where it never failed.

    With ``TRITON_INTERPRET=1`` kernels run on a CPU, slowly, as their tests do.
    """
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return name not in _failed and (device.type == "cuda" or interpreted)


def failure(name: str) -> str:
    """Return why the kernel ``name`` is not used any more; empty where it is."""
    return _failed.get(name, "")


def attempt(name: str, kernel: Callable[[], Tensor], plain: Callable[[], Tensor]) -> Tensor:
    """Return what ``kernel`` computes; what ``plain`` does where the kernel fails, and ever after.

    No kernel, no compiler, or one that has no idea of this GPU: none of it may end a search. The
    first result of a process is compared with the plain one, so that a compiler's mistake is a
    failure too. When memory ends, the kernel is not to blame: the caller takes fewer candidates.

    Raises:
        Exception: memory has ended.
    """
    if name in _failed:
        return plain()
    try:
        found = kernel()
        if name in _compared:
            return found
        expected = plain()
        if not expected.isfinite().all():  # of a network that is dead: nothing to compare
            return expected
        worst = float((found - expected).abs().max() / expected.abs().max().clamp_min(TINY))
        if worst <= TOLERANCE:
            _compared.add(name)
            return found
        why = f"its result differs by {worst:.0e} of the largest number"
    except Exception as error:
        if is_out_of_memory(error):
            raise
        lines = str(error).strip().splitlines() or [""]
        why = f"{type(error).__name__}: {lines[0]}"
    _failed[name] = why
    warnings.warn(
        f"the kernel '{name}' does not run here ({why}): "
        "torch's own operations compute the same, in more time",
        stacklevel=2,
    )
    return plain()
