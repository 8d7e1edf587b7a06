"""One training at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas_search.core.errors import InputError, RunError
from nas_search.runs.lock import Lock
from nas_search.training.distributed import ProcessGroup

LOCK = "train.lock"


@contextmanager
def locked(folder: Path, group: ProcessGroup) -> Iterator[None]:
    """Hold ``folder``, which is made, for one training; one that is refused leaves nothing in it.

    Raises:
        RunError: another process trains there, or the disk refuses.
    """
    lock, problem = None, ""
    if group.leads:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder / LOCK)
        except OSError as error:
            problem = f"cannot make {folder} ({error.strerror}); choose another hydra.run.dir"
        except RunError as error:
            problem = str(error)
    problem = group.first_problem(problem)
    if problem:
        raise RunError(problem)
    refused = False
    try:
        yield
    except InputError:
        refused = True
        raise
    finally:
        if lock is not None:
            lock.close()
            if refused and not any(folder.glob("*/seed*/*")):
                (folder / LOCK).unlink(missing_ok=True)
                _prune(folder)


def _prune(folder: Path) -> None:
    """Remove ``folder`` and the folders in it that hold nothing."""
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            Path(path).rmdir()
