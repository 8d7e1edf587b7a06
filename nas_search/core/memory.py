"""Errors that are a lack of memory."""

from __future__ import annotations

import sys


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is a lack of memory, of a GPU or of the machine."""
    torch = sys.modules.get("torch")  # where it has not been imported, it has raised nothing
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    # What torch's CPU allocator and thread library say; they have no classes of their own.
    words = ("can't allocate memory", "not enough memory", "can't start new thread")
    return isinstance(error, RuntimeError) and any(one in str(error) for one in words)
