"""How much memory scoring takes, and how many candidates fit into a device at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nas_search.scoring.scorer import Scorer, can_stack
from nas_search.scoring.task import ScoringTask

MAX_CANDIDATES_PER_PASS = 256
"""Upper bound on candidates per pass; larger stacks are not faster."""

MEMORY_FRACTION = 0.75
"""Share of the device's memory that stacks fill; the rest is for the libraries and for gaps."""

COST_SAMPLE_SIZE = 64
"""Random candidates, from the costliest of which a climb to costlier ones begins."""

CLIMB = 100
"""Mutations of that climb. A search goes where scores are high, which is often where costs are."""

FEW, MANY = 2, 8
"""Sizes of the stacks whose peaks are measured; from both follows what one candidate more takes."""

STEP = 8
"""Numbers of candidates above are multiples of it: a few bytes more or less change no stack."""


def fitting(task: ScoringTask, sharing: int = 1) -> int:
    """Return how many candidates of ``task`` a stack takes on its device.

    1 on a CPU: a candidate's activations fit its caches, a stack's do not. On a GPU, as many as its
    whole memory holds by the peaks of two stacks of the costliest candidates, at most
    :data:`MAX_CANDIDATES_PER_PASS`. Other uses of the memory are ignored: scoring halves its stacks
    when memory ends.

    Args:
        task: what is scored, on its device.
        sharing: processes that score on the same device, each of which has a part of its memory.
    """
    device = torch.device(task.device)
    if device.type != "cuda" or not can_stack(task):
        return 1
    memory = MEMORY_FRACTION * torch.cuda.get_device_properties(device).total_memory / sharing
    costly = costliest(task)
    return candidates_within(memory, partial(peak, task, costly), len(costly))


def candidates_within(memory: float, peak: Callable[[int], float], most: int = MANY) -> int:
    """Return how many candidates fit into ``memory`` bytes.

    Args:
        memory: bytes.
        peak: maps a number of candidates to the most bytes that scoring them held at a time;
            infinity where memory ended.
        most: the largest number that it can be asked for.
    """
    few, many = (FEW, min(MANY, most)) if most > FEW else (0, 1)
    peak(many)  # libraries make what they keep
    low, high = peak(few) if few else 0.0, peak(many)
    if high > memory:
        return few if 0 < low <= memory else 1
    each = max((high - low) / (many - few), 1.0)
    fits = int(min(many + (memory - high) / each, MAX_CANDIDATES_PER_PASS))
    return fits - fits % STEP if fits > STEP else fits


def peak(task: ScoringTask, costly: list[Hashable], count: int) -> float:
    """Return the most bytes that scoring ``count`` of the ``costly`` candidates held at a time.

    Infinity where a GPU's memory ended.
    """
    scorer = Scorer(task, count)
    torch.cuda.reset_peak_memory_stats(task.device)
    scorer.evaluate(costly[:count])
    if scorer.most < count:
        return math.inf
    return float(torch.cuda.max_memory_allocated(task.device))


def costliest(task: ScoringTask, count: int = MANY) -> list[Hashable]:
    """Return costly candidates within the bounds, costliest first: ``count`` of them if there are.

    Those of most multiply-accumulates among random ones and on a climb from the first of them, as
    far as they share its skeleton and so its stacks. Where no random one is within the bounds,
    bounds are not asked for.
    """
    rng, space = np.random.default_rng(0), task.space
    seen: dict[Hashable, int] = {}

    def look(genotype: Hashable, bounded: bool = True) -> None:
        if not (bounded and task.candidate(genotype).violation):
            seen[genotype] = task.cost(genotype).macs

    sampled = [space.sample(rng) for _ in range(COST_SAMPLE_SIZE)]
    for genotype in sampled:
        look(genotype)
    bounded = bool(seen)
    for genotype in [] if bounded else sampled:
        look(genotype, bounded=False)
    for _ in range(CLIMB):
        look(space.mutate(max(seen, key=seen.__getitem__), rng=rng), bounded)
    ordered = sorted(seen, key=seen.__getitem__, reverse=True)
    skeleton = space.skeleton(ordered[0])
    return [genotype for genotype in ordered if space.skeleton(genotype) == skeleton][:count]


def bytes_of_one(task: ScoringTask) -> int:
    """Return the bytes that the forward passes of a costly random candidate keep for backward.

    1 where they keep nothing.
    """
    rng = np.random.default_rng(0)
    sampled = [task.space.sample(rng) for _ in range(COST_SAMPLE_SIZE)]
    one = max(sampled, key=lambda genotype: task.cost(genotype).macs)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        Scorer(task, 1).evaluate([one])
    return max(1, sum(kept.values()))
