"""What is trained, how, and what became of it: one record an architecture, its row, its facts."""

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
    """An architecture to train, and what became of it.

    Attributes:
        architecture: in the sizes in which it is trained, for the data that it is trained on.
        score: its training-free score, where it has one.
        status: ``waiting``, ``trained``, ``stopped`` (by successive halving) or ``failed``.
        reason: why it failed or was stopped.
        validation: accuracy of each seed, %, at the last epoch that all have.
        test: likewise on test images; the winner's alone.
        epochs: trained ones.
        seconds: of training, all seeds together.
        micro_batch: images at a time; less than the batch where memory ended.
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
        """Eight characters that name the architecture: its folder."""
        space = self.architecture.space
        canonical = space.canonical(space.parse(self.architecture.genotype))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def accuracy(self) -> float:
        """Mean validation accuracy over seeds, %; NaN when there is none."""
        return statistics.fmean(self.validation) if self.validation else math.nan


@dataclass(frozen=True)
class TrainingPlan:
    """How candidates are trained.

    Attributes:
        recipe: the recipe.
        finalists: seeds, halving, exports.
        device: where.
        versions: to write beside results.
        pretrained: weights to start from.
    """

    recipe: Recipe
    finalists: FinalistsConfig
    device: str
    versions: Mapping[str, str]
    pretrained: Pretrained | None = None


@dataclass(frozen=True)
class Renderers:
    """How results are shown: given from outside, since what draws builds on what trains.

    Attributes:
        curve: draws a training's log, one mapping an epoch, to a file; may raise OSError.
        table: makes of the names and the rows of ``finalists.csv`` what a console prints.
    """

    curve: Callable[[Sequence[Mapping[str, Any]], Path], None]
    table: Callable[[Sequence[str], Sequence[Sequence[Any]]], RenderableType]


def metrics(candidate: Finalist, plan: TrainingPlan, device: str) -> dict[str, Any]:
    """Return what ``metrics.json`` says of a candidate."""
    cost = candidate.architecture.cost()
    facts = {
        "status": candidate.status,
        "reason": candidate.reason,
        "score": candidate.score,
        "validation_accuracy": mean(candidate.validation),
        "validation_accuracies": candidate.validation,
        "test_accuracy": mean(candidate.test),
        "test_accuracies": candidate.test,
        "seeds": list(plan.finalists.seeds),
        "epochs": candidate.epochs,
        "micro_batch": candidate.micro_batch,
        "seconds": round(candidate.seconds, 2),
        "params": cost.params,
        "macs": cost.macs,
        "recipe": plan.recipe.name,
        "device": device,
        "versions": dict(plan.versions),
    }
    finite: dict[str, Any] = _without_nan(facts)
    return finite


def row(place: int, candidate: Finalist) -> list[Any]:
    """Return a candidate's row in ``finalists.csv``, cells as :data:`COLUMNS` names them."""
    c = candidate
    return [
        *(place, c.key, c.status, c.score, mean(c.validation), mean(c.test), c.epochs),
        *(round(c.seconds, 1), c.architecture.cost().params, c.architecture.genotype),
        c.reason,
    ]


def best_first(candidates: Sequence[Finalist]) -> list[Finalist]:
    """Sort by validation accuracy; in ties the order given (by score) decides."""
    return sorted(candidates, key=lambda c: -c.accuracy if c.validation else math.inf)


def ranked(candidates: Sequence[Finalist]) -> list[Finalist]:
    """Sort the trained first, then the stopped, longest first, then failed; by accuracy."""
    order = {"trained": 0, "stopped": 1, "failed": 2, "waiting": 3}
    return sorted(best_first(candidates), key=lambda c: (order[c.status], -c.epochs))


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of accuracies to four places; None of none."""
    return round(statistics.fmean(values), 4) if values else None


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
