"""Which workers score candidates, as a user asks for them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch

from nas_search.core.errors import InputError

KINDS = ("auto", "inline", "processes", "dask")

MAX_WORKERS = 8
"""Processes that ``auto`` starts at most: each holds a torch of its own, half a gigabyte."""


@dataclass(frozen=True)
class Executor:
    """Which workers evaluate candidates.

    A candidate is small work: several processes of one thread each finish sooner than one process
    of several threads, and do not stall when something else runs on the machine. Scores do not
    depend on the number of workers.

    Scores do not depend on ``stack`` either, but for the last digits, see
    :mod:`nas_search.scoring.scorer`.

    Attributes:
        name: ``inline`` (this process), ``processes`` (spawned, one per GPU or some on the CPU),
            ``dask`` (a cluster) or ``auto``: inline for one GPU or one core, else processes.
        workers: number of processes; None means one per GPU, or one per core on the CPU.
        threads: torch threads of a worker on the CPU.
        address: scheduler of the Dask cluster; None starts a cluster on this machine.
        stack: upper bound on candidates per stack, fewer where memory ends; None means one
            on the CPU, whose caches larger batches overrun, and on a GPU what its memory holds.
    """

    name: str = "auto"
    workers: int | None = None
    threads: int = 1
    address: str | None = None
    stack: int | None = None

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise InputError(f"unknown executor '{self.name}'; possible: {', '.join(KINDS)}")
        for key in ("workers", "threads", "stack"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise InputError(f"executor.{key}={value} must be 1 or more")

    def resolved(self, device: str) -> Executor:
        """Return the executor with ``auto`` and the number of workers filled in for ``device``."""
        if self.name not in ("auto", "processes"):
            return self
        if device.startswith("cuda"):
            possible = torch.cuda.device_count() if device == "cuda" else 1
        else:
            possible = cores() if self.name == "processes" else min(cores(), MAX_WORKERS)
        workers = self.workers or possible
        name = "processes" if self.name == "processes" or workers > 1 else "inline"
        return replace(self, name=name, workers=workers)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
