"""``python -m nas_search.report PATH --to-optuna URL``: a search or a sweep as Optuna's studies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nas_search.bridges.optuna_storage import Copied, copy_run, storage_at, study_name
from nas_search.core.errors import InputError
from nas_search.pages.run_page import space_of
from nas_search.runs.run import open_run, runs_in


def copy_to_optuna(folder: Path, url: str, name: str | None = None) -> Iterator[Copied]:
    """Copy a search, or each of a sweep, into a storage of Optuna's; yield each when it is there.

    Args:
        folder: of a search or a sweep.
        url: of the storage, e.g. ``sqlite:///trials.db``.
        name: of the study; by default the last two parts of the folder. Of a sweep's searches it is
            followed by their folder's name.

    Raises:
        InputError: the folder holds no search, the URL is none, or a study holds something else.
        RunError: the storage cannot be read or written.
    """
    sweep = [] if (folder / "run.sqlite").exists() else runs_in(folder)
    if not sweep and not (folder / "run.sqlite").exists():
        raise InputError(f"{folder} holds no search or sweep, whose evaluations could be trials")
    name = name or study_name(folder)
    with storage_at(url) as storage:
        for one in sweep or [folder]:
            run = open_run(one)
            yield copy_run(run, space_of(run), storage, f"{name}/{one.name}" if sweep else name)
