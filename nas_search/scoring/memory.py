"""Keep memory that was freed, instead of giving it back to the operating system each time."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Tell glibc to serve activations from memory that it already holds.

    By default every tensor of some megabytes is mapped afresh and unmapped when freed, and its
    pages are faulted in one by one: elementwise operations then run at the speed of page faults.

    Returns:
        Whether the C library took the settings (False where it is not glibc).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    largest = 2**31 - 1
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, 2**30) and libc.mallopt(_M_TRIM_THRESHOLD, largest))
