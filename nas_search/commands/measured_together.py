"""Scores whose definitions differ in images or draws are measured by tasks of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from nas_search.commands.settings import Settings
from nas_search.proxies import PROXIES

BASELINES = ("params", "flops", "depth", "random")
"""What is ranked beside the scores, always: what a score must beat to mean anything."""


@dataclass(frozen=True)
class MeasuredTogether:
    """Scores that take the same number of images and of draws.

    Attributes:
        settings: how they are measured; what is None differs from score to score.
        scores: their names.
    """

    settings: Settings
    scores: tuple[str, ...]


def measured_together(scores: Sequence[str], settings: Settings) -> list[MeasuredTogether]:
    """Return which of ``scores`` are measured in the same task.

    The baselines (:data:`BASELINES`) depend neither on the images nor on the number of
    draws, so they take no task of their own: they join the one with the fewest draws.
    """
    names: dict[tuple[int, int], list[str]] = {}
    for name in scores:
        own = settings.of(PROXIES.get(name))
        if name not in BASELINES:
            names.setdefault((own.repeats or 1, own.batch_size or 0), []).append(name)
    if not names:
        own = settings.of(PROXIES.get(BASELINES[0]))
        names[own.repeats or 1, own.batch_size or 0] = []
    names[min(names)] += [name for name in scores if name in BASELINES]
    return [
        MeasuredTogether(
            dataclasses.replace(settings, repeats=repeats, batch_size=batch_size), tuple(together)
        )
        for (repeats, batch_size), together in names.items()
    ]
