"""One training on several processes that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from nas_search.core.errors import InputError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one training.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        device: device of this process.
    """

    rank: int
    size: int
    device: str

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and prints."""
        return self.rank == 0

    def share_of(self, batch: Tensor) -> Tensor:
        """Return this process's part of the positions of a batch."""
        return batch.tensor_split(self.size)[self.rank]

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` over all processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def first_problem(self, problem: str) -> str:
        """Return the first problem of any process, empty if there is none."""
        if self.size == 1:
            return problem
        problems: list[str] = [""] * self.size
        dist.all_gather_object(problems, problem)
        return next((text for text in problems if text), "")

    def from_leader(self, value: str) -> str:
        """Return the ``value`` of the process with rank 0."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, src=0)
        return values[0]

    def distribute(self, network: nn.Module) -> nn.Module:
        """Return ``network`` averaging gradients, on GPUs also batch statistics, over processes."""
        if self.size == 1:
            return network
        if torch.device(self.device).type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        # An architecture may have branches from which no path leads to the output.
        return nn.parallel.DistributedDataParallel(network, find_unused_parameters=True)


@contextmanager
def process_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started; a group of one without torchrun.

    Raises:
        InputError: more processes on this machine than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ProcessGroup(0, 1, device)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if torch.device(device).type == "cuda":
        if local >= torch.cuda.device_count():
            raise InputError(
                f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here; "
                "use --nproc-per-node with at most as many"
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield ProcessGroup(rank, size, device)
    finally:
        dist.destroy_process_group()
