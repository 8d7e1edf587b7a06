"""Open the directory of a search."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.files import user_path
from nas_search.core.objectives import Objective, Objectives, parse_objective
from nas_search.runs.architecture import Architecture, load
from nas_search.runs.measured import read_measured, within
from nas_search.runs.rows import read_store


@dataclass(frozen=True)
class Run:
    """The content of the directory of a search.

    Attributes:
        directory: the directory.
        config: what defines the search, by the keys of its configuration, as its store recorded it:
            ``search_space``, ``proxy``, ``algorithm``, ``dataset``, ``seed``, ``plugins``, ...;
            paths are absolute. Files in the directory that anybody may edit are not read for it.
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
        """Name of the search's fitness; of several scores, the one that the search is named by."""
        return str(self.config["proxy"]["name"])

    @property
    def objectives(self) -> Objectives:
        """What the search is after: its score, or several scores and costs."""
        several = self.config.get("objectives") or []
        return tuple(map(parse_objective, several)) or (Objective(self.score),)

    @cached_property
    def eligible(self) -> list[Evaluation]:
        """The evaluations; those measured outside a bound on the latency are ``rejected``.

        Raises:
            InputError: ``latency.json`` is broken.
        """
        bounds = self.config.get("constraints") or {}
        return within(self.evaluations, read_measured(self.directory), bounds)

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
    directory = user_path(directory).absolute()
    if not (directory / "run.sqlite").exists():
        raise InputError(f"{directory} is not the directory of a search: it has no run.sqlite")
    record, evaluations = read_store(directory / "run.sqlite")
    return Run(
        directory=directory,
        config=_config(record, directory),
        evaluations=evaluations,
        summary=_summary(directory / "summary.json"),
        finalists=read_finalists(directory / "finalists" / "finalists.csv"),
    )


def _config(record: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return the record with the groups in the form of the configuration."""
    try:
        dataset = {"name": record["dataset"], **record["dataset_options"]}
        record["proxy"]["name"], record["search_space"]["name"]
    except (KeyError, TypeError):
        raise InputError(f"{directory} is not the directory of a search of this version") from None
    return {**record, "dataset": dataset}


def _summary(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {file} ({error})") from None
    if not isinstance(summary, dict):
        raise InputError(f"cannot read {file} (it is no summary)")
    return summary


def read_finalists(file: Path) -> list[dict[str, str]]:
    """Return the rows of a ``finalists.csv`` by column, best first; none if there is no file."""
    if not file.exists():
        return []
    try:
        with file.open(encoding="utf-8", newline="") as text:
            return list(csv.DictReader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read {file} ({error})") from None
