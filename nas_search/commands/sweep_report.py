"""The table at the end of a sweep: what differs from search to search, and what each found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from nas_search.commands.closing import sweep_lines
from nas_search.runs.run import Run, open_run, runs_in


def print_sweep(sweep: Path, console: Console) -> None:
    """Print the searches in the folders of a sweep; nothing where there is none."""
    runs = [open_run(folder) for folder in runs_in(sweep)]
    if not runs:
        return
    settings = [dict(_leaves(_composed(run))) for run in runs]
    everything = dict.fromkeys(key for values in settings for key in values)
    keys = [key for key in everything if len({str(s.get(key)) for s in settings}) > 1]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for heading in ("folder", *(key.removesuffix(".name") for key in keys)):
        table.add_column(heading, overflow="fold")
    for heading in ("best score", "scored"):
        table.add_column(heading, justify="right")
    for run, values in zip(runs, settings, strict=True):
        table.add_row(run.directory.name, *(str(values.get(key, "")) for key in keys), *_found(run))
    console.print(table)
    for line in sweep_lines(sweep, len(runs)):
        console.print(line, soft_wrap=True)


def _composed(run: Run) -> dict[str, Any]:
    """Return the configuration as it was composed, only to show what differs."""
    try:
        text = (run.directory / ".hydra" / "config.yaml").read_text(encoding="utf-8")
        values = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _found(run: Run) -> tuple[str, str]:
    scores = [e.scores[run.score] for e in run.evaluations if e.status == "ok"]
    return (f"{max(scores):.5g}" if scores else "-", str(len(scores)))


def _leaves(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
