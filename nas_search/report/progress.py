"""Progress of a search: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import monotonic

from rich import progress
from rich.console import Console

from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective, values_of

SECONDS_BETWEEN_LINES = 15.0

ENOUGH, SOON = 5, 2.0
"""Evaluations, and seconds, after the first one with which the time can be estimated.

The first one does not count: workers start, and libraries are read, before it.
"""
WORTH_SAYING = 10.0
"""Seconds that must be left for it; what is shorter has ended before it is read."""


def duration(seconds: float) -> str:
    """Return a time as a person says it: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


class Progress:
    """Shows the number of evaluations, rate, best score and expected time to the end.

    Use it as a context manager and call :meth:`advance` after each evaluation.

    Args:
        console: console to write to.
        objective: what the best is the best of; of several, the first.
        evaluations: evaluations in the budget, or None.
        seconds: seconds in the budget, or None.
        done: number of evaluations that count of a run that is continued, and its evaluations.
        trained: name of what trainings tell, and accuracies (%) of a run that is continued; None
            where nothing is trained.
    """

    def __init__(
        self,
        console: Console,
        objective: Objective,
        evaluations: int | None,
        seconds: float | None,
        done: tuple[int, Sequence[Evaluation]] = (0, ()),
        trained: tuple[str, list[float]] | None = None,
    ) -> None:
        self._console = console
        self._objective = objective
        self._evaluations = evaluations
        self._seconds = seconds
        self._done, earlier = done
        self._best = math.nan
        for evaluation in earlier:
            self._see(evaluation)
        self._new = self._rejected = 0
        self._training, self._accuracies = trained or ("", [])
        self._start = self._last_line = monotonic()
        self._first: tuple[float, float] | None = None
        self._foretold = False
        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def advance(self, evaluation: Evaluation, seconds: float) -> None:
        """Show a new evaluation, made ``seconds`` into the search."""
        if self._training in evaluation.scores:
            self._accuracies.append(evaluation.scores[self._training])
            self._show(seconds)
            return
        counts = evaluation.status != "rejected"
        self._new += counts
        self._rejected += not counts
        self._done += counts
        self._see(evaluation)
        self._show(seconds)

    def _foretell(self, seconds: float) -> None:
        """Say once how long it will take, as soon as that can be known."""
        if self._foretold or self._evaluations is None or not self._new:
            return
        if self._first is None:
            self._first = seconds, monotonic()
        since, clock = self._first
        if self._new <= ENOUGH or monotonic() - clock < SOON:
            return
        self._foretold = True
        missing = self._evaluations - self._done
        left = missing * (seconds - since) / (self._new - 1)
        if self._seconds is not None:
            left = min(left, self._seconds - seconds)
        if left >= WORTH_SAYING:
            self._console.print(
                f"about {duration(left)} for the other {missing:,} evaluations, if they take as "
                f"long as the first {self._new}",
                highlight=False,
                soft_wrap=True,
            )

    def _show(self, seconds: float) -> None:
        self._foretell(seconds)
        line = self._line(seconds)
        finished = self._seconds_left(seconds) <= 0
        if self._console.is_terminal:
            self._bar.update(self._task, completed=self._fraction(seconds), description=line)
        elif monotonic() - self._last_line >= SECONDS_BETWEEN_LINES or finished:
            self._last_line = monotonic()
            self._console.print(line, highlight=False, soft_wrap=True)

    def _see(self, evaluation: Evaluation) -> None:
        values = values_of((self._objective,), evaluation)
        if values and not self._objective.weight * (values[0] - self._best) <= 0:  # also from NaN
            self._best = values[0]

    def _fraction(self, seconds: float) -> float:
        spent, left = max(seconds, 1e-9), self._seconds_left(seconds)
        return spent / (spent + left)  # 0 while the end cannot be foreseen

    def _seconds_left(self, seconds: float) -> float:
        """Return the expected time until the first bound is met."""
        left = math.inf
        if self._seconds is not None:
            left = self._seconds - seconds
        if self._evaluations is not None:
            missing = self._evaluations - self._done
            if missing <= 0 or self._new:  # before the first one nobody knows
                left = min(left, missing / self._rate() if self._new else 0.0)
        return max(0.0, left)

    def _rate(self) -> float:
        return self._new / max(monotonic() - self._start, 1e-9)

    def _line(self, seconds: float) -> str:
        of = f"/{self._evaluations}" if self._evaluations is not None else ""
        best = f"{self._best:.5g}" if math.isfinite(self._best) else "none"
        left = self._seconds_left(seconds)
        eta = f"{round(left) // 60}:{round(left) % 60:02d}" if math.isfinite(left) else "?"
        rejected = f" ({self._rejected:,} rejected)" if self._rejected else ""
        trained = ""
        if self._training:
            most = f", best {max(self._accuracies):.2f} %" if self._accuracies else ""
            trained = f"  {len(self._accuracies)} trained{most}"
        return (
            f"{self._done}{of} evaluations{rejected}  {self._rate():.2f}/s  best "
            f"{self._objective.name} {best}{trained}  ETA {eta}"
        )
