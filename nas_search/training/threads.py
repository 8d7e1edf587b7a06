"""Threads of the processor, and what is said where they stand in each other's way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

BUSY = 1.25
"""Processes that want to run per core, above which more threads than one only wait."""


@contextmanager
def processor_threads(count: int | None) -> Iterator[None]:
    """Let torch use ``count`` threads inside, and as many as before afterwards; None changes none.

    Threads that wait for the others of a busy machine do not burn its time if the commands started
    torch (see :mod:`nas_search.commands.command`).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def busy_remark(device: str) -> str:
    """Return that other programs use the processor, and what to do; empty if they do not."""
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu" or threads < 2 or not hasattr(os, "getloadavg"):
        return ""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= BUSY * cores:
        return ""
    return (
        f"other programs use this machine (load {load:.1f} on {cores} cores): "
        f"finalists.threads=1 may be faster than {threads} threads"
    )
