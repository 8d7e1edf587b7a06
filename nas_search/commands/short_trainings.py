"""The short trainings of runs of ``algorithm=guided``, from their stores."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.runs import Run, open_run, runs_in
from nas_search.search.guided import TRAINED


@dataclass(frozen=True)
class ShortTrainings:
    """What a run has trained.

    Attributes:
        run: the run.
        protocol: equal for runs of the same recipe, sizes and images, whose accuracies can be
            compared.
        trained: evaluations with an accuracy, :data:`nas_search.search.guided.TRAINED`.
        scores: of each of them at initialization, by the score's name.
    """

    run: Run
    protocol: str
    trained: list[Evaluation]
    scores: list[dict[str, float]]

    @property
    def name(self) -> str:
        """The protocol as a person reads it, e.g. ``short, 2 epochs (0a1b2c)``."""
        recipe = (self.run.config.get("learning") or {}).get("recipe")
        how = f"{recipe['name']}, {recipe['epochs']} epochs" if recipe else "table"
        return f"{how} ({hashlib.sha256(self.protocol.encode()).hexdigest()[:6]})"

    @property
    def measured(self) -> str:
        """A text that is equal for runs whose scores can be compared."""
        config = self.run.config
        return repr([config[key] for key in ("search_space", "proxy", "data")])


def short_trainings_of(run: Run) -> ShortTrainings:
    """Return what a run has trained so far; nothing where it is of another algorithm."""
    scores: dict[str, dict[str, float]] = {}
    for evaluation in run.evaluations:
        if TRAINED not in evaluation.scores:
            scores.setdefault(evaluation.key, evaluation.scores)
    trained = [e for e in run.evaluations if math.isfinite(e.scores.get(TRAINED, math.nan))]
    return ShortTrainings(
        run=run,
        protocol=str(run.config.get("protocol", run.directory)),
        trained=trained,
        scores=[scores.get(e.key, {}) for e in trained],
    )


def short_trainings_in(folder: Path) -> list[ShortTrainings]:
    """Return what the run in a folder, or those of the sweep in it, have trained.

    Runs that trained nothing are left out.

    Raises:
        InputError: a run is of another version.
        RunError: a store cannot be read.
    """
    folders = [folder] if (folder / "run.sqlite").exists() else runs_in(folder)
    found = [short_trainings_of(open_run(one)) for one in folders]
    return [one for one in found if one.trained]


def check_alike(name: str, measured: dict[str, str]) -> None:
    """Refuse scores that were measured in several ways: no one scale is in all of them.

    Args:
        name: of the score.
        measured: source by how its scores were measured, see :attr:`ShortTrainings.measured`.

    Raises:
        InputError: there are several ways.
    """
    if len(measured) > 1:
        first, second, *_ = measured.values()
        raise InputError(
            f"scores=[{name}]: {first} and {second} measured it on other networks, images or by "
            "other settings; give runs that agree, or leave scores out"
        )
