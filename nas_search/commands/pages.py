"""Which page a folder has: it is told by the files in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from nas_search.commands.sweep_report import SEED, Job, differing, read_sweep
from nas_search.core.errors import InputError
from nas_search.pages.page import PAGE, write_page
from nas_search.pages.ranking_page import ranking_page
from nas_search.pages.run_page import run_page
from nas_search.pages.sweep_page import Search, sweep_page
from nas_search.pages.training_page import training_page
from nas_search.runs.run import open_run

Live = Mapping[str, Any]


def page_of(folder: Path, live: Live | None = None) -> str:
    """Return the page of what ``folder`` holds.

    Args:
        folder: of a search, a sweep, a ranking or a training.
        live: of a page that is served, see :func:`.serve.server`.

    Raises:
        InputError: it holds none of these, or a file is broken.
        RunError: a store cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give that of a search, as it printed it")
    if (folder / "run.sqlite").exists():
        return run_page(open_run(folder), live)
    if (folder / "ranking.csv").exists():
        return ranking_page(folder, live)
    if (folder / "finalists").is_dir():
        return training_page(folder, live)
    try:
        jobs = read_sweep(folder)
    except InputError:
        raise InputError(
            f"{folder} holds no search, sweep, ranking or training; give the folder that one of "
            "them printed"
        ) from None
    keys = [key for key in differing(jobs) if key != SEED]
    return sweep_page(folder, [_search(job, keys) for job in jobs], live)


def write_after(folder: Path, console: Console) -> None:
    """Write the page of what has ended; a page that fails is no failure of it."""
    try:
        write_page(folder, page_of(folder))
    except Exception as error:  # a drawing is never worth a search
        reason = " ".join(str(error).split()) or type(error).__name__
        console.print(
            f"{PAGE} could not be made ({reason}); everything else is written", soft_wrap=True
        )


def _search(job: Job, keys: list[str]) -> Search:
    setting = {key.removesuffix(".name"): str(job.settings.get(key, "")) for key in keys}
    seed = str(job.settings.get(SEED, ""))
    return Search(job.folder, job.status, job.reason, setting, seed, job.found, job.run)
