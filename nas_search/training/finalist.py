"""A finalist, its training plan and its result, as a record, a table row and ``metrics.json``."""

from __future__ import annotations

import dataclasses
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
    *("rank", "key", "status", "score", "validation_accuracy", "validation_loss"),
    *("validation_balanced_accuracy", "test_accuracy", "test_balanced_accuracy", "epochs"),
    *("kept_epochs", "refit_epochs", "seconds", "params", "genotype", "reason"),
)
"""Columns of ``finalists.csv``."""


def short_key(canonical: str) -> str:
    """Return eight characters that follow from the canonical form of an architecture."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


@dataclass
class Finalist:
    """An architecture to train, and its result.

    Attributes:
        architecture: the architecture, with the sizes and data shape of its training.
        score: its training-free score; None if it has none.
        status: ``waiting``, ``trained``, ``stopped`` (by successive halving) or ``failed``.
        reason: why it failed or was stopped.
        validation: accuracy per seed, %, of the epoch that is kept of those trained so far.
        balanced: the same, as the mean over classes.
        losses: the same as mean cross-entropy.
        test: accuracy per seed on test images, %; only the winner has it, of the networks trained
            once more if there are any.
        test_balanced: the same, as the mean over classes.
        epochs: number of epochs trained.
        kept_epochs: number of the epoch per seed whose weights are kept.
        refit_epochs: number of epochs per seed of the last training, on all training images; empty
            if there was none.
        seconds: training time of all seeds together.
        micro_batch: images per forward pass; smaller than the batch if memory ran out.
    """

    architecture: Architecture
    score: float | None = None
    status: str = "waiting"
    reason: str = ""
    validation: list[float] = field(default_factory=list)
    balanced: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    test_balanced: list[float] = field(default_factory=list)
    epochs: int = 0
    kept_epochs: list[int] = field(default_factory=list)
    refit_epochs: list[int] = field(default_factory=list)
    seconds: float = 0.0
    micro_batch: int = 0

    @property
    def key(self) -> str:
        """Eight characters that identify the architecture; the name of its folder."""
        space = self.architecture.space
        return short_key(space.canonical(space.parse(self.architecture.genotype)))

    @property
    def loss(self) -> float:
        """Mean validation loss over seeds; infinite if there is none or it is NaN."""
        loss = statistics.fmean(self.losses) if self.losses else math.inf
        return math.inf if math.isnan(loss) else loss


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


def without_weights(plan: TrainingPlan) -> TrainingPlan:
    """Return ``plan`` from fresh weights: all layers are trained, and at the same rate."""
    recipe = dataclasses.replace(plan.recipe, freeze=0, layer_decay=1.0)
    return dataclasses.replace(plan, recipe=recipe, pretrained=None)


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
        "validation_balanced_accuracies": finalist.balanced,
        "validation_losses": finalist.losses,
        "test_accuracy": mean(finalist.test),
        "test_accuracies": finalist.test,
        "test_balanced_accuracies": finalist.test_balanced,
        "seeds": list(plan.finalists.seeds),
        "epochs": finalist.epochs,
        "kept_epochs": finalist.kept_epochs,
        "refit_epochs": finalist.refit_epochs,
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
        *(rank, f.key, f.status, f.score, mean(f.validation), mean(f.losses), mean(f.balanced)),
        *(mean(f.test), mean(f.test_balanced), f.epochs),
        *(" ".join(map(str, epochs)) for epochs in (f.kept_epochs, f.refit_epochs)),
        *(round(f.seconds, 1), f.architecture.cost().params, f.architecture.genotype, f.reason),
    ]


def mean(values: Sequence[float]) -> float | None:
    """Return the mean to four decimals, None for no values or NaN."""
    value = statistics.fmean(values) if values else math.nan
    return None if math.isnan(value) else round(value, 4)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
