"""A finalist, its training plan and its result, as a record, a table row and ``metrics.json``."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from nas_search.runs.architecture import Architecture
from nas_search.training.choice import FinalistsConfig
from nas_search.training.fine_tune import Pretrained
from nas_search.training.recipe import Recipe

COLUMNS = (
    *("rank", "key", "status", "score", "validation_accuracy", "test_accuracy", "epochs"),
    *("seconds", "params", "genotype", "reason"),
)
"""Columns of ``finalists.csv``."""


@dataclass
class Finalist:
    """An architecture to train, and its result.

    Attributes:
        architecture: the architecture, with the sizes and data shape of its training.
        score: its training-free score; None if it has none.
        status: ``waiting``, ``trained``, ``stopped`` (by successive halving) or ``failed``.
        reason: why it failed or was stopped.
        validation: accuracy per seed, %, at the last epoch that all seeds reached.
        test: the same on test images; only the winner has it.
        epochs: number of epochs trained.
        seconds: training time of all seeds together.
        micro_batch: images per forward pass; smaller than the batch if memory ran out.
    """

    architecture: Architecture
    score: float | None = None
    status: str = "waiting"
    reason: str = ""
    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    epochs: int = 0
    seconds: float = 0.0
    micro_batch: int = 0

    @property
    def key(self) -> str:
        """Eight characters that identify the architecture; the name of its folder."""
        space = self.architecture.space
        canonical = space.canonical(space.parse(self.architecture.genotype))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def accuracy(self) -> float:
        """Mean validation accuracy over seeds, %; NaN if there is none."""
        return statistics.fmean(self.validation) if self.validation else math.nan


@dataclass(frozen=True)
class TrainingPlan:
    """How finalists are trained.

    Attributes:
        recipe: the recipe.
        finalists: seeds, halving, export formats.
        device: torch device to train on.
        versions: package versions to write beside the results.
        pretrained: weights to start from; None for fresh ones.
    """

    recipe: Recipe
    finalists: FinalistsConfig
    device: str
    versions: Mapping[str, str]
    pretrained: Pretrained | None = None


@dataclass(frozen=True)
class Renderers:
    """Functions that show results; passed in, since the report room is above this one.

    Attributes:
        curve: draws the log of a training, one mapping per epoch, to a file; may raise OSError.
        table: makes a console table from the column names and rows of ``finalists.csv``.
    """

    curve: Callable[[Sequence[Mapping[str, Any]], Path], None]
    table: Callable[[Sequence[str], Sequence[Sequence[Any]]], RenderableType]


def metrics(finalist: Finalist, plan: TrainingPlan, device: str) -> dict[str, Any]:
    """Return the content of ``metrics.json``."""
    cost = finalist.architecture.cost()
    values = {
        "status": finalist.status,
        "reason": finalist.reason,
        "score": finalist.score,
        "validation_accuracy": mean(finalist.validation),
        "validation_accuracies": finalist.validation,
        "test_accuracy": mean(finalist.test),
        "test_accuracies": finalist.test,
        "seeds": list(plan.finalists.seeds),
        "epochs": finalist.epochs,
        "micro_batch": finalist.micro_batch,
        "seconds": round(finalist.seconds, 2),
        "params": cost.params,
        "macs": cost.macs,
        "recipe": plan.recipe.name,
        "device": device,
        "versions": dict(plan.versions),
    }
    finite: dict[str, Any] = _without_nan(values)
    return finite


def row(rank: int, finalist: Finalist) -> list[Any]:
    """Return the row of ``finalists.csv``, cells in the order of :data:`COLUMNS`."""
    f = finalist
    return [
        *(rank, f.key, f.status, f.score, mean(f.validation), mean(f.test), f.epochs),
        *(round(f.seconds, 1), f.architecture.cost().params, f.architecture.genotype),
        f.reason,
    ]


def by_accuracy(finalists: Sequence[Finalist]) -> list[Finalist]:
    """Return ``finalists`` by validation accuracy, best first; ties keep the given order."""
    return sorted(finalists, key=lambda f: -f.accuracy if f.validation else math.inf)


def ranked(finalists: Sequence[Finalist]) -> list[Finalist]:
    """Return the trained, then the stopped (most epochs first), then the failed; by accuracy."""
    order = {"trained": 0, "stopped": 1, "failed": 2, "waiting": 3}
    return sorted(by_accuracy(finalists), key=lambda f: (order[f.status], -f.epochs))


def mean(values: Sequence[float]) -> float | None:
    """Return the mean to four decimals, None for no values."""
    return round(statistics.fmean(values), 4) if values else None


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
