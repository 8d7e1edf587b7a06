"""Numbers that a pass finds one after another, of each candidate."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_search.stacked.candidates import Members


class Series:
    """Takes a number of each of some candidates at a time; they stay on the device until asked."""

    def __init__(self) -> None:
        self._found: list[tuple[Members, Tensor]] = []

    def add(self, members: Members, values: Tensor) -> None:
        """Take ``values`` (k,), one of each of the k ``members``."""
        self._found.append((members, values))

    def on_host(self, candidates: int) -> list[tuple[float, ...]]:
        """Return each candidate's numbers in the order of arrival: one transfer for all of them."""
        found: list[list[float]] = [[] for _ in range(candidates)]
        if self._found:
            members = (member for some, _ in self._found for member in some)
            numbers = torch.cat([values for _, values in self._found]).tolist()
            for member, number in zip(members, numbers, strict=True):
                found[member].append(number)
        return [tuple(own) for own in found]
