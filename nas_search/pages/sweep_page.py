"""The page of a sweep: its searches side by side."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from nas_search.pages import commands
from nas_search.pages.chart import Chart, Grid, Mark
from nas_search.pages.evolution import scored
from nas_search.pages.page import number, render
from nas_search.runs.run import Run

LINES = 14
"""Settings that a chart of curves shows at most; with more, the best."""


@dataclass(frozen=True)
class Search:
    """A search of a sweep.

    Attributes:
        folder: relative to that of the sweep.
        status: what became of it.
        reason: why it failed.
        setting: what tells it from others but the seed, by key.
        seed: its seed, as text.
        found: its best score, or with several objectives its hypervolume; None if nothing.
        run: None if it has not begun.
    """

    folder: str
    status: str
    reason: str
    setting: Mapping[str, str]
    seed: str
    found: float | None
    run: Run | None

    @property
    def name(self) -> str:
        """Its setting in a line."""
        return ", ".join(f"{key}={value}" for key, value in self.setting.items()) or "all the same"

    @property
    def measure(self) -> str:
        """Name of the number that was found."""
        if self.run is None:
            return ""
        return self.run.score if len(self.run.objectives) == 1 else "hypervolume"


def sweep_page(
    folder: Path, searches: Sequence[Search], live: Mapping[str, Any] | None = None
) -> str:
    """Return the page of a sweep, which may be running."""
    keys = list(dict.fromkeys(key for one in searches for key in one.setting))
    jobs = _jobs(searches, keys)
    measures = list(dict.fromkeys(one.measure for one in searches if one.found is not None))
    found_charts = [_found(searches, measure) for measure in measures]
    curves = [_curves(searches, measure) for measure in measures if measure != "hypervolume"]
    curves = [chart for chart in curves if chart.rows]
    settings = _settings(searches, keys)
    grids = [jobs, *([settings] if settings else [])]
    ended = sum(one.status == "finished" for one in searches)
    return render(
        "sweep.html",
        f"Sweep in {folder.name}",
        [*found_charts, *curves],
        grids,
        live,
        found=_sentence(searches, measures, ended),
        tiles=[
            ("searches", len(searches)),
            ("finished", ended),
            ("failed", sum(one.status == "failed" for one in searches)),
            ("settings", len({one.name for one in searches})),
            ("seeds", len({one.seed for one in searches})),
        ],
        jobs=jobs,
        settings=settings,
        found_charts=found_charts,
        curves=curves,
        comparable=(
            "Scores of one kind are side by side; those of different scores, data or settings of a "
            "score are not comparable, only training compares what they found."
        ),
        commands=commands.of_sweep(folder),
    )


def _sentence(searches: Sequence[Search], measures: Sequence[str], ended: int) -> str:
    said = f"{ended} of {len(searches)} searches have ended"
    for measure in measures:
        best = max(
            (one for one in searches if one.measure == measure and one.found is not None),
            key=lambda one: one.found or 0.0,
        )
        said += (
            f"; the highest {measure} is {number(best.found, 5)}, in the folder {best.folder} "
            f"({best.name})"
        )
    return said + "."


def _jobs(searches: Sequence[Search], keys: Sequence[str]) -> Grid:
    columns = ["folder", *keys, "seed", "status", "measure", "found", "scored", "failed", "reason"]
    rows = []
    for one in searches:
        evaluations = one.run.evaluations if one.run else []
        counts = [sum(e.status == status for e in evaluations) for status in ("ok", "failed")]
        settings = [one.setting.get(key, "") for key in keys]
        head = [one.folder, *settings, one.seed, one.status, one.measure, one.found]
        rows.append([*head, *counts, one.reason])
    if not any(one.reason for one in searches):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Grid("jobs", "searches of the sweep", columns, rows, "folder")


def _settings(searches: Sequence[Search], keys: Sequence[str]) -> Grid | None:
    groups = _groups(searches)
    if all(len(members) < 2 for members in groups.values()):
        return None
    columns = [*keys, "measure", "searches", "mean", "standard deviation", "lowest", "highest"]
    rows = []
    for members in groups.values():
        values = [one.found for one in members if one.found is not None]
        spread = statistics.stdev(values) if len(values) > 1 else None
        numbers = (
            [statistics.fmean(values), spread, min(values), max(values)] if values else [None] * 4
        )
        first = members[0]
        rows.append(
            [*(first.setting.get(key, "") for key in keys), first.measure, len(members), *numbers]
        )
    return Grid("settings", "settings over their seeds", columns, rows)


def _groups(searches: Sequence[Search]) -> dict[str, list[Search]]:
    groups: dict[str, list[Search]] = {}
    for one in searches:
        groups.setdefault(one.name, []).append(one)
    return groups


def _found(searches: Sequence[Search], measure: str) -> Chart:
    rows = [
        [one.name, one.found, one.folder, one.seed]
        for one in searches
        if one.measure == measure and one.found is not None
    ]
    return Chart(
        f"found-{_key(measure)}",
        f"{measure} found, by setting",
        "A dot is a search; dots above one name differ in their seeds.",
        ("setting", measure, "folder", "seed"),
        rows,
        (Mark("dots", "setting", measure, "searches"),),
        "",
        measure,
        "folder",
        ("folder", "setting", "seed", measure),
        categories=True,
    )


def _curves(searches: Sequence[Search], measure: str) -> Chart:
    """Return the best so far over evaluations: mean and range over the seeds of each setting."""
    groups = _groups([one for one in searches if one.measure == measure])
    best = sorted(
        groups, key=lambda name: -max(one.found or float("-inf") for one in groups[name])
    )[:LINES]
    rows: list[list[Any]] = []
    marks: list[Mark] = []
    for name in best:
        lines = [line for one in groups[name] if one.run and (line := _best_so_far(one.run))]
        if not lines:
            continue
        length = min(len(line) for line in lines)
        for place in range(length):
            values = [line[place] for line in lines]
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                mean = statistics.fmean(known)
                rows.append([name, place + 1, mean, min(known), max(known), len(known)])
        where = ("setting", name)
        marks.append(Mark("steps", "evaluation", "mean", name, where=where, points=False))
    bands = [
        Mark("band", "evaluation", "lowest", f"range of {mark.name}", "highest", mark.where, place)
        for place, mark in enumerate(marks)
        if len(marks) <= 4
    ]
    return Chart(
        f"curve-{_key(measure)}",
        f"Best {measure} so far",
        "Mean over the seeds of a setting"
        + (", with the range from the lowest to the highest." if bands else "."),
        ("setting", "evaluation", "mean", "lowest", "highest", "searches"),
        rows,
        (*marks, *bands),
        "evaluation",
        measure,
    )


def _best_so_far(run: Run) -> list[float | None]:
    """Return the best score after each evaluation; None before the first score."""
    scores = {n: e.scores[run.score] for n, e in scored(run)}
    values = [scores.get(n, float("-inf")) for n in range(1, len(run.evaluations) + 1)]
    return [None if value == float("-inf") else value for value in accumulate(values, max)]


def _key(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)
