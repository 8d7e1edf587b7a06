"""What is part of a score's definition and may be changed, and the task that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nas_search.commands.reading import at_least
from nas_search.data import ImageData, probe_batch
from nas_search.gradients import Normalization, Parameters, Scheme
from nas_search.proxies import ProxyRecord
from nas_search.scoring import ScoringTask


@dataclass(frozen=True)
class Settings:
    """How scores are measured; None means what each score's own record says.

    Attributes:
        batch_size: n, images in the probe batch, 2 or more.
        classes: number of classes in the probe batch; here None means all.
        normalization: batch-norm statistics.
        parameters: parameters that count.
        init: distribution of the initial weights.
        repeats: draws of the initial weights over which a score is averaged, 1 or more.
    """

    batch_size: int | None = at_least(2, None)
    classes: int | None = None
    normalization: Normalization | None = None
    parameters: Parameters = "weights"
    init: Scheme | None = None
    repeats: int | None = at_least(1, None)

    def of(self, record: ProxyRecord) -> Settings:
        """Return the settings of one score: its record's where nothing else was asked for."""
        return Settings(
            batch_size=self.batch_size or record.batch_size,
            classes=self.classes,
            normalization=self.normalization or record.normalization,
            parameters=self.parameters,
            init=self.init or record.init,
            repeats=self.repeats or record.repeats,
        )


def scoring_task(
    data: ImageData, scores: Sequence[str], settings: Settings, seed: int, **networks: Any
) -> ScoringTask:
    """Return what workers must know to score candidates on a probe batch of ``data``.

    Args:
        data: the images.
        scores: names of the scores; where there are none, no image is read.
        settings: how they are measured; batch size and repeats are given.
        seed: of the probe batch and the initial weights.
        networks: further fields of the task: ``space``, ``macro``, ``device``, ...

    Raises:
        InputError: the data is too small.
    """
    if scores:
        assert settings.batch_size is not None
        images, labels = probe_batch(data, settings.batch_size, settings.classes, seed)
    else:
        images, labels = torch.empty(0, *data.input_shape), torch.empty(0, dtype=torch.int64)
    return ScoringTask(
        images=images,
        labels=labels,
        num_classes=data.num_classes,
        proxies=tuple(scores),
        normalization=settings.normalization,
        parameters=settings.parameters,
        seed=seed,
        init=settings.init,
        repeats=settings.repeats or 1,
        **networks,
    )
