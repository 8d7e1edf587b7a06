"""After a search its best architectures are measured for real, and those too slow are dropped.

The next best takes the place of one that is dropped, and is measured too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from nas_search.commands.latency import Latency
from nas_search.commands.measured import clear_disk_errors, said, time_one
from nas_search.core.evaluation import Evaluation
from nas_search.core.files import write_csv, write_json
from nas_search.core.text import read_text
from nas_search.costs.measure import Timing
from nas_search.costs.predictor import LatencyTable
from nas_search.runs.measured import broken_bound, read_measured, within
from nas_search.spaces import SearchSpace

TRIES = 4
"""Architectures that are measured per one that is wanted, at the most."""

Choose = Callable[[list[Evaluation]], Sequence[str]]
"""Maps evaluations to the genotypes that would be taken of them, best first."""


class MeasuredBest:
    """The best of a search, measured.

    What an earlier call measured is taken from the run's file, so that a run that is continued
    comes to the same end.

    Args:
        latency: how networks are run, and what predicted them.
        space: of the genotypes.
        evaluations: of the search.
        bounds: of the search, by key.

    Attributes:
        measured: timings by genotype, those of earlier calls too.
    """

    def __init__(
        self,
        latency: Latency,
        space: SearchSpace[Any],
        evaluations: Sequence[Evaluation],
        bounds: Mapping[str, float],
    ) -> None:
        self._latency, self._space, self._bounds = latency, space, bounds
        self._evaluations = list(evaluations)
        self.measured = read_measured(latency.file.parent)
        self._looked_at: dict[str, Any] = {}  # as self.measured, of this call alone

    def settle(self, choose: Choose, wanted: int) -> list[str]:
        """Measure what ``choose`` takes until all of it keeps to the bounds; return what does.

        An exact table leaves nothing to measure. After :data:`TRIES` times ``wanted``
        architectures no further one is measured; what was not is not returned.

        Raises:
            RunError: the disk refuses.
        """
        if isinstance(self._latency.model, LatencyTable):
            return list(choose(self._evaluations))
        looked_at = self._looked_at
        most = len(looked_at) + TRIES * wanted
        while True:
            taken = choose(within(self._evaluations, looked_at, self._bounds))
            new = [text for text in taken if text not in looked_at]
            if not new or len(looked_at) >= most:
                return [text for text in taken if text in looked_at]
            looked_at[new[0]] = self._timing(new[0])

    def _timing(self, text: str) -> dict[str, Any]:
        if text not in self.measured:
            latency = self._latency
            timing = time_one(self._space, self._space.parse(text), latency.at, latency.device)
            self.measured[text] = dataclasses.asdict(timing)
            with clear_disk_errors(latency.file):
                kept = json.loads(read_text(latency.file)) if latency.file.exists() else {}
                write_json(latency.file, {**kept, "best": self.measured})
        return self.measured[text]

    def report(self, ranked: Sequence[tuple[int, Evaluation]], console: Console) -> None:
        """Write predicted beside measured to ``latency_best.csv``, and print it.

        Args:
            ranked: numbers and evaluations of what is left, best first.
            console: where a line goes for each that is left, and one for all that are dropped.

        Raises:
            RunError: the disk refuses.
        """
        ranks = {e.genotype: rank for rank, (_, e) in enumerate(ranked, 1)}
        numbers: dict[str, int] = {}
        for number, one in enumerate(self._evaluations, 1):
            numbers.setdefault(one.genotype, number)
        rows, dropped = [], []
        for text in sorted(self.measured, key=lambda text: ranks.get(text, 1 << 60)):
            timing, rank = Timing(**self.measured[text]), ranks.get(text)
            predicted = self._predicted(text)
            broken = broken_bound(timing.milliseconds, self._bounds)
            rows.append(
                [
                    *(rank, numbers.get(text), predicted, timing.milliseconds),
                    *("no" if broken else "yes", timing.spread, timing.outliers, timing.runs, text),
                ]
            )
            if rank is not None:
                line = f"number {rank}: predicted {predicted:.3g} ms, measured {said(timing)}"
                console.print(f"latency of {line}", highlight=False, soft_wrap=True)
            elif text in numbers:
                dropped.append(
                    f"no. {numbers[text]} with {timing.milliseconds:.4g} ms (predicted "
                    f"{predicted:.4g}), {broken}"
                )
        if dropped:
            line = f"dropped, as measured: {'; '.join(dropped)}"
            console.print(line, highlight=False, soft_wrap=True)
        header = ["rank", "number", "predicted_ms", "measured_ms", "fits", "spread", "outliers"]
        with clear_disk_errors(self._latency.file):
            path = self._latency.file.with_name("latency_best.csv")
            write_csv(path, [*header, "runs", "genotype"], rows)

    def _predicted(self, text: str) -> float:
        genotype = self._space.parse(text)
        return self._latency.model.milliseconds(self._space, genotype, self._latency.at)
