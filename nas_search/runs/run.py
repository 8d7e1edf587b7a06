"""Open the directory of a search."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.runs.architecture import Architecture, load
from nas_search.runs.store import read_evaluations


@dataclass(frozen=True)
class Run:
    """The content of the directory of a search.

    Attributes:
        directory: the directory.
        config: the composed configuration.
        evaluations: every evaluation so far, in order; another process may be adding to them.
        summary: ``summary.json``; None if the search has not ended yet.
        finalists: rows of ``finalists.csv`` by column, best first; empty if none were trained.
    """

    directory: Path
    config: dict[str, Any]
    evaluations: list[Evaluation]
    summary: dict[str, Any] | None
    finalists: list[dict[str, str]]

    @property
    def score(self) -> str:
        """Name of the search's fitness."""
        return str(self.config["proxy"]["name"])

    @cached_property
    def best(self) -> Architecture | None:
        """The best architecture; None if there is none yet.

        Raises:
            InputError: ``best.json`` is broken, or its search space belongs to a plugin that is not
                imported yet.
        """
        file = self.directory / "best.json"
        return load(file) if file.exists() else None


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of the searches of a sweep, in order; none if ``folder`` is no sweep."""
    found = [store.parent for store in folder.glob("*/run.sqlite")]
    return sorted(found, key=lambda one: (len(one.name), one.name))


def open_run(directory: str | Path) -> Run:
    """Return the content of the directory of a search, which may be running.

    Raises:
        InputError: it is not the directory of a search, or a file in it is broken.
        RunError: its store cannot be read.
    """
    directory = Path(directory)
    return Run(
        directory=directory,
        config=_config(directory),
        evaluations=read_evaluations(directory / "run.sqlite"),
        summary=_summary(directory / "summary.json"),
        finalists=_finalists(directory / "finalists" / "finalists.csv"),
    )


def _config(directory: Path) -> dict[str, Any]:
    file = directory / ".hydra" / "config.yaml"
    try:
        config = OmegaConf.to_container(OmegaConf.load(file))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"{directory} is not the directory of a search (cannot read {file}: {error})"
        ) from None
    if not isinstance(config, dict) or not {"proxy", "search_space", "dataset"} <= set(config):
        raise InputError(f"{directory} is not the directory of a search: see {file}")
    return {str(key): value for key, value in config.items()}


def _summary(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file} ({error})") from None
    return dict(summary)


def _finalists(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))
