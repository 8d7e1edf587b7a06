"""The table of a sweep: what differs from search to search, what became of each, what it found."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from nas_search.commands.closing import sweep_lines
from nas_search.commands.failures import failure_remark
from nas_search.commands.sweep_jobs import jobs_of
from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_csv
from nas_search.core.objectives import values_of
from nas_search.runs.run import Run, open_run, runs_in
from nas_search.search.fronts import front_numbers, hypervolume, losses

SEED = "seed"
"""The key whose values are repetitions of one setting."""


@dataclass
class Job:
    """A job of a sweep.

    Attributes:
        folder: of its run, relative to that of the sweep.
        status: see :class:`.sweep_jobs.Note`.
        reason: why it failed, in one line.
        overrides: what was typed for it, by key.
        run: its run; None if it has none yet, or none that can be read.
        settings: its configuration by key; of one without a run, its overrides.
        found: its best score; with several objectives the hypervolume of its front, see
            :func:`read_sweep`. None if nothing was scored.
    """

    folder: str
    status: str
    reason: str
    overrides: dict[str, str]
    run: Run | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    found: float | None = None

    @property
    def scored(self) -> int:
        """Number of candidates with a score."""
        return sum(e.status == "ok" for e in self.run.evaluations) if self.run else 0

    @property
    def failed(self) -> int:
        """Number of candidates that failed."""
        return sum(e.status == "failed" for e in self.run.evaluations) if self.run else 0


def read_sweep(sweep: Path) -> list[Job]:
    """Return the jobs of a sweep, which may be running.

    Hypervolumes are those of :func:`.fronts.hypervolume` in the box of the front of all searches of
    the same objectives, over that front's own: 1 is as good as all of them together.

    Raises:
        InputError: the folder is not that of a sweep.
    """
    jobs = [
        Job(note.folder, note.status, note.reason, _by_key(note.overrides))
        for note in jobs_of(sweep)
    ]
    known = {job.folder for job in jobs}
    jobs += [
        Job(run.name, "", "", {}) for run in runs_in(sweep) if run.name not in known
    ]  # made by a version that left no notes
    if not jobs:
        raise InputError(
            f"{sweep} is not the folder of a sweep: python -m nas_search -m ... prints it"
        )
    for job in jobs:
        _look(sweep, job)
    for several in {job.run.objectives for job in jobs if job.run}:
        _find([job for job in jobs if job.run and job.run.objectives == several])
    return jobs


def print_sweep(sweep: Path, console: Console) -> list[Job]:
    """Print the jobs of a sweep and what they found, and return them; nothing where there is none.

    Raises:
        InputError: the folder is not that of a sweep.
    """
    jobs = read_sweep(sweep)
    keys = differing(jobs)
    console.print(_table(jobs, keys))
    settings = [key for key in keys if key != SEED]
    if len({job.settings.get(SEED) for job in jobs}) > 1:
        console.print(_summary(jobs, settings))
    for job in jobs:
        if job.reason:
            console.print(f"{job.folder}: {job.status}: {job.reason}", soft_wrap=True)
        remark = failure_remark(job.run.evaluations) if job.run else ""
        if remark:
            console.print(f"{job.folder}: {remark}", soft_wrap=True)
    counts = Counter(job.status for job in jobs)
    if set(counts) - {"finished", ""}:
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if status)
        advice = "repeat the command with its hydra.sweep.dir to run what is missing"
        console.print(f"{said}; {advice}", soft_wrap=True)
    searches = sum(job.run is not None for job in jobs)
    for line in sweep_lines(sweep, searches) if searches else ():
        console.print(line, soft_wrap=True)
    return jobs


def write_sweep(sweep: Path, jobs: Sequence[Job]) -> None:
    """Write ``sweep.csv``, a row per job, into the sweep's folder.

    Raises:
        OSError: the disk refuses.
    """
    keys = differing(jobs)
    header = ["folder", *keys, "status", "evaluations", "scored", "failed", "found", "reason"]
    rows = [
        [
            job.folder,
            *(job.settings.get(key, "") for key in keys),
            job.status,
            len(job.run.evaluations) if job.run else 0,
            job.scored,
            job.failed,
            job.found,
            job.reason,
        ]
        for job in jobs
    ]
    write_csv(sweep / "sweep.csv", header, rows)


def _look(sweep: Path, job: Job) -> None:
    """Read the run of a job, where there is one."""
    job.settings = dict(job.overrides)
    folder = sweep / job.folder
    if not (folder / "run.sqlite").exists():
        return
    try:
        run = open_run(folder)
        run.eligible  # noqa: B018 - read now, where a broken file is told
        job.run = run
    except (InputError, RunError) as error:
        job.status, job.reason = job.status or "failed", job.reason or str(error)
        return
    job.settings = dict(_leaves(_composed(folder))) or job.settings
    if not job.status:
        stop = (job.run.summary or {}).get("stop", "running")
        job.status = "finished" if stop in ("budget", "exhausted") else str(stop)


def _find(jobs: Sequence[Job]) -> None:
    """Fill in what jobs of the same objectives have found."""
    first = jobs[0].run
    objectives = first.objectives if first else ()
    points = [
        losses(objectives, [v for e in job.run.eligible if (v := values_of(objectives, e))])
        for job in jobs
        if job.run
    ]
    if len(objectives) == 1:
        for job, own in zip(jobs, points, strict=True):
            job.found = float(own.min() * -objectives[0].weight) if len(own) else None
        return
    together = [point for own in points for point in own]
    everything = losses(objectives, together) * [-one.weight for one in objectives]
    front = everything[front_numbers(everything) == 1]
    for job, own in zip(jobs, points, strict=True):
        if len(own):
            job.found = hypervolume(own, front) / hypervolume(front, front)


def _heading(jobs: Sequence[Job]) -> str:
    several = {len(job.run.objectives) > 1 for job in jobs if job.run}
    if len(several) != 1:
        return "found"
    return "hypervolume" if several == {True} else "best score"


def _table(jobs: Sequence[Job], keys: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("folder", *(key.removesuffix(".name") for key in keys), "status"):
        table.add_column(heading, overflow="fold")
    for heading in (_heading(jobs), "scored", "failed"):
        table.add_column(heading, justify="right")
    for job in jobs:
        table.add_row(
            job.folder,
            *(str(job.settings.get(key, "")) for key in keys),
            job.status,
            "-" if job.found is None else f"{job.found:.5g}",
            str(job.scored),
            str(job.failed),
        )
    return table


def _summary(jobs: Sequence[Job], keys: Sequence[str]) -> Table:
    """Return a row per setting: over its seeds the mean, the standard deviation and the best."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in (key.removesuffix(".name") for key in keys):
        table.add_column(heading, overflow="fold")
    for heading in ("finished", f"mean {_heading(jobs)}", "spread", "best", "failed jobs"):
        table.add_column(heading, justify="right")
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(str(job.settings.get(key, "")) for key in keys), []).append(job)
    for setting, members in groups.items():
        found = [j.found for j in members if j.found is not None and j.status == "finished"]
        table.add_row(
            *setting,
            f"{sum(job.status == 'finished' for job in members)} of {len(members)}",
            f"{statistics.mean(found):.5g}" if found else "-",
            f"{statistics.stdev(found):.2g}" if len(found) > 1 else "-",
            f"{max(found):.5g}" if found else "-",
            str(sum(job.status == "failed" for job in members)),
        )
    return table


def differing(jobs: Sequence[Job]) -> list[str]:
    """Return the keys in which jobs differ; of one that has no run yet, only what was typed.

    The name of a choice stands for it (``proxy`` for ``proxy.name``).
    """
    read = [job for job in jobs if job.run is not None]
    everything = dict.fromkeys(key for job in read for key in job.settings)
    differing = [key for key in everything if len({str(j.settings.get(key)) for j in read}) > 1]
    typed = dict.fromkeys(key for job in jobs for key in job.overrides)
    varied = [key for key in typed if len({job.overrides.get(key) for job in jobs}) > 1]
    for job in jobs:
        for key in varied:
            if f"{key}.name" in everything and key in job.overrides:
                job.settings.setdefault(f"{key}.name", job.overrides[key])
    named = [f"{key}.name" if f"{key}.name" in everything else key for key in varied]
    return [*named, *(key for key in differing if key not in named)]


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.lstrip("+~").partition("=") for override in overrides)
    return {key: value for key, _, value in pairs}


def _composed(folder: Path) -> dict[str, Any]:
    """Return the configuration as it was composed, only to show what differs."""
    try:
        text = (folder / ".hydra" / "config.yaml").read_text(encoding="utf-8")
        values = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _leaves(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
