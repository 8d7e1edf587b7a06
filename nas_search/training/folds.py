"""Which training images are held out for validation: another part for each training seed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SPLIT_SEED = 0
"""Seed of the validation parts, the same for all finalists."""


def validation_rows(labels: Tensor, share: float, fold: int) -> Tensor:
    """Return the sorted rows of a validation part, ``share`` of every class.

    Parts of consecutive folds have no image in common until all were held out once. A class of two
    or more images has at least one on each side; a single image is learnt from.

    Args:
        labels: (n,) int64, of all training images.
        share: fraction of every class, in [0, 1); 0 holds out none.
        fold: number of the part, from 0; fold 0 is
            :func:`nas_search.data.stratified_holdout` with seed :data:`SPLIT_SEED`.
    """
    if not share:
        return torch.arange(0)
    rng = np.random.default_rng(SPLIT_SEED)
    held_out = []
    for label in range(int(labels.max()) + 1):
        rows = rng.permutation(np.flatnonzero(labels.numpy() == label))
        count = max(min(max(round(share * len(rows)), 1), len(rows) - 1), 0)
        held_out.append(np.roll(rows, -fold * count)[:count])
    return torch.from_numpy(np.sort(np.concatenate(held_out)))
