"""The folder of a run: a command that is refused leaves none, and changes none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nas_search.core.files import write_text

_new: set[Path] = set()
"""Folders that did not exist before Hydra made them for this command."""


_sweeps: list[Path] = []
"""The folder of the sweep that this process runs."""


def sweep_folder() -> Path | None:
    """Return the folder of the sweep that this process runs; None if it runs none."""
    return _sweeps[-1] if _sweeps else None


def forget_sweep() -> None:
    """Forget the sweep of an earlier command in this process."""
    _sweeps.clear()


class _Quiet(JobReturn):
    """The result of a job, whose error is raised without Hydra's line about its overrides."""

    @property  # type: ignore[misc]
    def return_value(self) -> Any:
        """What the job returned.

        Raises:
            Exception: the job's error, if it failed.
        """
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value


class AroundRuns(Callback):
    """Hydra's callback around runs: notes which folders are new; errors are ours to print."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Note the run's folder and its parents, where they do not exist."""
        directory = Path(str(OmegaConf.select(config, "hydra.run.dir"))).absolute()
        _new.clear()
        _new.update(one for one in (directory, *directory.parents) if not one.exists())

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Note the sweep's folder."""
        _sweeps.append(Path(str(OmegaConf.select(config, "hydra.sweep.dir"))))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Let the error of a job be raised without a line of Hydra's."""
        job_return.__class__ = _Quiet


def remove_if_new(directory: Path) -> None:
    """Remove the folder of a run, and those above it, if this command made them and they are empty.

    Of a sweep, the folder of one job.
    """
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    for folder in (directory,) if sweep else (directory, *directory.parents):
        if not sweep and folder not in _new:
            return
        try:
            folder.rmdir()
        except OSError:  # something is in it
            return


def keep_configuration(composed: dict[str, Any], directory: Path, name: str = "config") -> None:
    """Write a composed configuration, unless empty, to ``.hydra/`` once the request is accepted.

    Hydra itself would write it before anybody has looked at the request, over that of a run that
    the folder already holds.

    Raises:
        OSError: the disk refuses.
    """
    if not composed:
        return
    folder = directory / ".hydra"
    if folder.is_symlink():  # not written through
        folder.unlink()
    folder.mkdir(exist_ok=True)
    write_text(folder / f"{name}.yaml", OmegaConf.to_yaml(OmegaConf.create(composed)))


def drop_configuration(directory: Path, name: str = "config") -> None:
    """Remove what :func:`keep_configuration` wrote: the request was refused after all."""
    (directory / ".hydra" / f"{name}.yaml").unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or something is in it
        (directory / ".hydra").rmdir()
