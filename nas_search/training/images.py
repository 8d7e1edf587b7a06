"""Batches of images: kept on the device if they fit, otherwise read ahead by threads."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from nas_search.data import Split

RESIDENT_BYTES = 2 << 30
"""Images up to this size are kept in CPU memory."""
GPU_MEMORY_FRACTION = 0.25
"""Images up to this fraction of a GPU's free memory are kept there."""
READERS = 4
"""Number of threads that read ahead, one batch each."""
_CHUNK = 512


class Images:
    """Raw pixels and labels of some rows of a split, in batches on a device.

    Args:
        split: the labeled images.
        rows: (n,) int64, rows of the split.
        device: device of the batches.

    Attributes:
        labels: (n,) int64, on the device.

    Raises:
        InputError: an image cannot be read or holds NaN; the message names it.
    """

    def __init__(self, split: Split, rows: Tensor, device: str) -> None:
        self.split = split
        self._rows = rows
        self._device = device
        self.labels = split.labels[rows].to(device)
        self._held: Tensor | None = None
        self._places: Tensor | None = None  # of these images among those held; None for all
        if len(rows):
            one = split.raw(rows[:1])
            if one.nbytes * len(rows) <= _memory_limit(device):
                held = torch.empty((len(rows), *one.shape[1:]), dtype=one.dtype, device=device)
                for at in torch.arange(len(rows)).split(_CHUNK):
                    held[at[0] : at[-1] + 1] = split.raw(rows[at]).to(device)
                self._held = held

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def resident(self) -> bool:
        """Whether all images are kept in memory."""
        return self._held is not None

    def select(self, positions: Tensor) -> Images:
        """Return the images at ``positions`` (k,) among these; they share what is in memory."""
        chosen = copy.copy(self)
        chosen._rows = self._rows[positions]
        chosen.labels = self.labels[positions.to(self._device)]
        chosen._places = positions if self._places is None else self._places[positions]
        return chosen

    def batches(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield raw pixels (b, C, H, W) and labels (b,) on the device for each of ``parts``.

        Args:
            parts: positions (b,) int64 among these images, one tensor per batch.
        """
        if self._held is not None:
            for part in parts:
                at = (part if self._places is None else self._places[part]).to(self._device)
                yield self._held[at], self.labels[part.to(self._device)]
            return
        with ThreadPoolExecutor(READERS) as readers:
            waiting: deque[Future[Tensor]] = deque()
            coming = iter(parts)
            for part in parts:
                while len(waiting) < READERS and (ahead := next(coming, None)) is not None:
                    waiting.append(readers.submit(self.split.raw, self._rows[ahead]))
                pixels = waiting.popleft().result()
                yield pixels.to(self._device), self.labels[part.to(self._device)]


def _memory_limit(device: str) -> float:
    if torch.device(device).type == "cuda":
        return GPU_MEMORY_FRACTION * torch.cuda.mem_get_info(device)[0]
    return RESIDENT_BYTES
