"""How much memory scoring takes, and how many candidates fit into a device at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nas_search.scoring.population import PopulationScorer, can_fold
from nas_search.scoring.task import ScoringTask

MOST = 256
"""Candidates that are scored in one pass at most: beyond, nothing is left to gain."""

SHARE = 0.5
"""Share of the device's memory for what backward needs; the rest is for what it makes."""

SAMPLED = 64
"""Candidates of which the costliest says how much memory one takes."""


def fitting(task: ScoringTask) -> int:
    """Return how many candidates of ``task``, on its device, one pass takes.

    1 on a CPU: a candidate's activations fit its caches, a population's do not. On a GPU as many as
    its whole memory holds by the costliest of some random candidates, :data:`MOST` at most. What
    else the memory is used for is not looked at: scoring halves its populations when it ends.
    """
    device = torch.device(task.device)
    if device.type != "cuda" or not can_fold(task):
        return 1
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, min(MOST, int(SHARE * memory / bytes_of_one(task))))


def bytes_of_one(task: ScoringTask) -> int:
    """Return the bytes that the forward passes of a costly candidate keep for backward.

    1 where they keep nothing: scores that need no backward pass have the largest populations.
    """
    rng = np.random.default_rng(0)
    sampled = [task.space.sample(rng) for _ in range(SAMPLED)]
    costliest = max(sampled, key=lambda genotype: task.cost(genotype).macs)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        PopulationScorer(task, 1).evaluate([costliest])
    return max(1, sum(kept.values()))
