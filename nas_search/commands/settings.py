"""What is part of a score's definition and may be changed, and the task that follows from it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nas_search.commands.reading import at_least
from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data import ImageData, probe_batch
from nas_search.gradients import Normalization, Parameters, Scheme
from nas_search.proxies import PROXIES, ProxyRecord
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
        seconds: time that scoring one candidate may take; None for any. No part of the definition.
    """

    batch_size: int | None = at_least(2, None)
    classes: int | None = None
    normalization: Normalization | None = None
    parameters: Parameters = "weights"
    init: Scheme | None = None
    repeats: int | None = at_least(1, None)
    seconds: float | None = None

    def of(self, record: ProxyRecord) -> Settings:
        """Return the settings of one score: its record's where nothing else was asked for."""
        return Settings(
            batch_size=self.batch_size or record.batch_size,
            classes=self.classes,
            normalization=self.normalization or record.normalization,
            parameters=self.parameters,
            init=self.init or record.init,
            repeats=self.repeats or record.repeats,
            seconds=self.seconds,
        )

    def facts(self) -> dict[str, Any]:
        """Return what defines a score that is measured so, as JSON-serializable values."""
        values = dataclasses.asdict(self)
        values.pop("seconds")
        return values


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
        InputError: the data is too small, or a score says nothing on it.
    """
    if scores:
        assert settings.batch_size is not None
        images, labels = probe_batch(data, settings.batch_size, settings.classes, seed)
        for name in scores:
            reason = PROXIES.get(name).unfit(images, labels)
            if reason:
                raise InputError(f"{name} says nothing on this probe batch: {reason}")
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
        seconds=settings.seconds,
        **networks,
    )


def probe_digest(tasks: Sequence[ScoringTask]) -> str:
    """Return 16 characters that follow from the probe batches of ``tasks``."""
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(task.images.numpy().tobytes() + task.labels.numpy().tobytes())
    return digest.hexdigest()[:16]


def kept_options(options: Any) -> dict[str, Any]:
    """Return the options of a data set as a run keeps them: paths from the root of the machine.

    A run is trained later, perhaps from another folder, where a file of the same name may lie.
    """
    kept = dataclasses.asdict(options)
    for name, value in kept.items():
        if name.endswith(("path", "root")) and isinstance(value, str) and value:
            kept[name] = str(user_path(value).absolute())
    return kept
