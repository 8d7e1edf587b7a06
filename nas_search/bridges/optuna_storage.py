"""A copy of a search in a storage of Optuna's, for optuna-dashboard and Optuna's analyses."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nas_search.bridges.needs import need
from nas_search.bridges.optuna_trials import trials_of, value_of
from nas_search.core.errors import InputError, RunError
from nas_search.runs.run import Run
from nas_search.spaces import SearchSpace

OPTION = "--to-optuna"
"""What a person types for it."""


@dataclass(frozen=True)
class Copied:
    """What a copy has done.

    Attributes:
        study: name of the study.
        new: trials that were added.
        known: trials that the study had before.
    """

    study: str
    new: int
    known: int


def study_name(folder: Path) -> str:
    """Return the name of a run's study: the last two parts of its folder, ``DATE/TIME``."""
    return "/".join(folder.absolute().parts[-2:])


@contextmanager
def storage_at(url: str) -> Iterator[Any]:
    """Open a storage of Optuna's, e.g. ``sqlite:///trials.db``; it is made if there is none.

    Raises:
        InputError: Optuna is not installed, or the URL is none of a storage.
        RunError: it cannot be opened, read or written.
    """
    need("optuna", "optuna", OPTION)
    import optuna
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage: Any = None
    try:
        try:
            storage = optuna.storages.RDBStorage(url)
        # The last one where another version of Optuna made it, and where a driver is missing.
        except (ArgumentError, NoSuchModuleError, ImportError, RuntimeError) as error:
            raise InputError(
                f"{OPTION} {_shown(url)} is no storage that can be opened ({_line(error)}); a "
                "file is sqlite:///trials.db"
            ) from None
        yield storage
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise RunError(
            f"{OPTION} {_shown(url)}: {_line(error)}; mend that and repeat the command: what was "
            "copied is kept"
        ) from error
    finally:
        if storage is not None:
            storage.engine.dispose()
        optuna.logging.set_verbosity(loud)


def _shown(url: str) -> str:
    """Return a URL without its password."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)


def copy_run(run: Run, space: SearchSpace[Any], storage: Any, name: str) -> Copied:
    """Add the evaluations of a run to a study: those that it does not hold yet.

    Trial n of the study is evaluation n + 1 of the run, so a copy of a search that runs, or that
    has been continued, adds what is new.

    Args:
        run: the search.
        space: its search space.
        storage: see :func:`storage_at`.
        name: of the study.

    Raises:
        InputError: the study of that name holds something else; nothing is added.
    """
    import optuna

    directions: list[Literal["minimize", "maximize"]] = [
        "minimize" if one.minimize else "maximize" for one in run.objectives
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=storage, study_name=name, directions=directions, load_if_exists=True
        )
        known = _known(study, run)
        if known is None or [one.name.lower() for one in study.directions] != directions:
            raise InputError(
                f"the study {name} of this storage is not a copy of the beginning of "
                f"{run.directory}; choose another name by --study"
            )
        if not known:
            study.set_metric_names([one.name for one in run.objectives])
            for key, value in _about(run).items():
                study.set_user_attr(key, value)
        new = 0
        for trial in trials_of(run, space, known):
            study.add_trial(trial)
            new += 1
    return Copied(name, new, known)


def _known(study: Any, run: Run) -> int | None:
    """Return how many trials a study has; None if they are not the run's first ones."""
    trials = study.get_trials(deepcopy=False)
    if len(trials) > len(run.evaluations):
        return None
    for number, trial in enumerate(trials, 1):
        expected = value_of(run.objectives, run.evaluations, number)
        same = _same(trial.values, expected)
        if trial.user_attrs.get("genotype") != run.evaluations[number - 1].genotype or not same:
            return None
    return len(trials)


def _same(there: Sequence[float] | None, here: Sequence[float] | None) -> bool:
    return (there and list(there)) == (here and list(here))


def _about(run: Run) -> dict[str, Any]:
    """Return what Optuna shows of the study."""
    config = run.config
    return {
        "folder": str(run.directory),
        **{key: config.get(key) for key in ("search_space", "proxy", "algorithm", "dataset")},
        "seed": config.get("seed"),
    }


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
