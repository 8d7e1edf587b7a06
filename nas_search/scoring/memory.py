"""How much memory scoring takes, and how many candidates fit into a device at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nas_search.scoring.scorer import Scorer, can_stack
from nas_search.scoring.task import ScoringTask

MAX_CANDIDATES_PER_PASS = 256
"""Upper bound on candidates per pass; larger stacks are not faster."""

MEMORY_FRACTION = 0.5
"""Share of the device's memory for what backward needs; the rest is for what it makes."""

COST_SAMPLE_SIZE = 64
"""Random candidates, the costliest of which is taken as the memory that one needs."""


def fitting(task: ScoringTask) -> int:
    """Return how many candidates of ``task`` a stack takes on its device.

    1 on a CPU: a candidate's activations fit its caches, a stack's do not. On a GPU, as many as its
    whole memory holds by the costliest of some random candidates, at most
    :data:`MAX_CANDIDATES_PER_PASS`. Other uses of the memory are ignored: scoring halves its stacks
    when memory ends.
    """
    device = torch.device(task.device)
    if device.type != "cuda" or not can_stack(task):
        return 1
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, min(MAX_CANDIDATES_PER_PASS, int(MEMORY_FRACTION * memory / bytes_of_one(task))))


def bytes_of_one(task: ScoringTask) -> int:
    """Return the bytes that the forward passes of a costly candidate keep for backward.

    1 where they keep nothing: scores that need no backward pass have the largest stacks.
    """
    rng = np.random.default_rng(0)
    sampled = [task.space.sample(rng) for _ in range(COST_SAMPLE_SIZE)]
    costliest = max(sampled, key=lambda genotype: task.cost(genotype).macs)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        Scorer(task, 1).evaluate([costliest])
    return max(1, sum(kept.values()))
