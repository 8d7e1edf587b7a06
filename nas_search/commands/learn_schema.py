"""The configuration of learning, typed and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from nas_search.commands.groups import read_space
from nas_search.commands.own_architectures import default_sizes
from nas_search.commands.plugins import import_plugins
from nas_search.commands.reading import at_least, beside, plain, read_as
from nas_search.commands.short_trainings import check_alike, short_trainings_in
from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.core.guess import did_you_mean
from nas_search.priors import Prior, load_prior, shipped_path
from nas_search.priors.shipped import shipped_names
from nas_search.runs.trainings import trainings_in
from nas_search.search.guided import TRAINED
from nas_search.spaces import SPACES, SearchSpace
from nas_search.tables import Array
from nas_search.tables.columns import accuracies, doubts, numbers, read_columns

GROUPS = ("search_space",)

ALIKE = "table"
"""Name of the protocol of a table without a column of protocols."""


@dataclass(frozen=True)
class Columns:
    """Columns of the tables.

    Attributes:
        architecture: in the space's text form.
        accuracy: in %, or fractions up to 1.
        protocol: by which it was trained; None where all were trained alike.
    """

    architecture: str = "architecture"
    accuracy: str = "accuracy"
    protocol: str | None = None


@dataclass(frozen=True)
class Beside:
    """Keys of the configuration that stand beside the groups.

    Attributes:
        paths: directories of runs, and tables.
        to: file to write.
        on: name of a shipped prior or file of one, to start from.
        table: columns of the tables.
        weights: of protocols.
        scores: names of scores to learn from beside structure.
        seed: of the forest, 0 or more.
        plugins: modules to import first.
    """

    paths: list[str] = field(default_factory=list)
    to: str | None = None
    on: str | None = None
    table: Columns = field(default_factory=Columns)
    weights: dict[str, float] | None = None
    scores: list[str] = field(default_factory=list)
    seed: int = at_least(0, 0)
    plugins: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LearnConfig:
    """What is learned from, typed and checked.

    Attributes:
        space: the search space.
        architectures: (n) genotypes, those of one protocol each once.
        accuracies: (n,) in percent by protocol, NaN elsewhere.
        weights: of the protocols.
        scores: (n,) by name, those that are learned from beside structure; often none.
        base: prior to start from; None for none.
        to: file to write.
        seed: of the forest.
        sources: names of the folders and files.
        notes: sentences on what may be wrong with the tables.
    """

    space: SearchSpace[Any]
    architectures: Sequence[Any]
    accuracies: dict[str, Array]
    weights: dict[str, float]
    scores: dict[str, Array]
    base: Prior | None
    to: Path
    seed: int
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        text: of the architecture.
        protocol: by which it was trained.
        accuracy: in percent.
        source: folder or file that told it.
        scores: of the architecture at initialization.
        measured: equal for scores that can be compared.
    """

    text: str
    protocol: str
    accuracy: float
    source: str
    scores: Mapping[str, float] = field(default_factory=dict)
    measured: str = ""


def read_learn_config(config: DictConfig) -> LearnConfig:
    """Return the typed form of a composed configuration; reads runs and tables.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value, a path holds no
            trainings, or they are of several search spaces.
    """
    what = read_as(Beside, "", beside(config, GROUPS))
    import_plugins(what.plugins)
    if not what.paths:
        raise InputError(
            "say what to learn from: directories of runs that trained networks, or tables: "
            "python -m nas_search.learn PATH [PATH ...] to=FILE"
        )
    if not what.to:
        raise InputError("say where the prior goes: to=FILE")
    to = user_path(what.to, "to")
    if to.is_dir() or not to.absolute().parent.is_dir():
        raise InputError(f"to={what.to}: there is no folder for such a file")
    paths = [user_path(path, "paths") for path in what.paths]
    for path in paths:
        if not path.exists():
            raise InputError(f"there is no file or folder {path}")
    of_runs, names = _read_runs([path for path in paths if path.is_dir()])
    space = _space(config, what.on, names)
    rows, notes = of_runs, list[str]()
    for path in paths:
        if not path.is_dir():
            cells = _cells(path, what.table, what.scores)
            rows = rows + _rows(path, cells, what.table, space, what.scores, len(paths) > 1)
            notes += doubts(path, what.table.accuracy, cells[what.table.accuracy])
    weights = what.weights or {}
    protocols = list(dict.fromkeys(row.protocol for row in rows))
    for name in weights:
        if name not in protocols:
            guess = did_you_mean(name, protocols)
            raise InputError(
                f"weights: there is no protocol '{name}'{guess}; there are {', '.join(protocols)}"
            )
    architectures, known = _by_protocol(rows, space)
    return LearnConfig(
        space=space,
        architectures=architectures,
        accuracies=known,
        weights=weights,
        scores={name: _scores(name, rows, space) for name in what.scores},
        base=_base(what.on, space),
        to=to,
        seed=what.seed,
        sources=tuple(path.name or str(path) for path in paths),
        notes=tuple(notes),
    )


def _read_runs(folders: Sequence[Path]) -> tuple[list[Row], dict[str, dict[str, Any]]]:
    """Return the trainings of runs, and the options of their search spaces by name.

    Those are the finalists, and the short trainings of ``algorithm=guided``.

    Raises:
        InputError: nothing was trained in a folder, or a file of it is broken.
    """
    rows: list[Row] = []
    spaces: dict[str, dict[str, Any]] = {}
    for folder in folders:
        before = len(rows)
        for one in trainings_in(folder):
            architecture = one.architecture
            rows.append(Row(architecture.genotype, one.protocol, one.accuracy, str(folder)))
            spaces[architecture.search_space] = architecture.space_options
        for short in short_trainings_in(folder):
            source = str(short.run.directory)
            for evaluation, scores in zip(short.trained, short.scores, strict=True):
                accuracy, text = evaluation.scores[TRAINED], evaluation.genotype
                rows.append(Row(text, short.name, accuracy, source, scores, short.measured))
            space, _, options = read_space(short.run.config["search_space"])
            spaces[space.name] = options
        if len(rows) == before:
            raise InputError(
                f"{folder} holds no trained finalist and no run of algorithm=guided; give the "
                "directory of a run that trained some (finalists=five), or a table"
            )
    return rows, spaces


def _space(
    config: DictConfig, base: str | None, names: dict[str, dict[str, Any]]
) -> SearchSpace[Any]:
    """Return the one search space that is chosen or that the runs are of.

    Raises:
        InputError: there is none, or several.
    """
    chosen = plain(config.get("search_space"))
    if chosen is not None:
        space = read_space(chosen)[0]
    elif names:
        name, options = next(iter(names.items()))
        space = SPACES.get(name).space(**options)
    elif base in shipped_names():
        space = default_sizes(str(base))[0]
    else:
        raise InputError("say of which search space the tables are: search_space=NAME")
    others = [name for name in names if name != space.name]
    if others:
        raise InputError(
            f"the trainings are of several search spaces, {space.name} and {', '.join(others)}; a "
            "prior is of one"
        )
    return space


def _base(name: str | None, space: SearchSpace[Any]) -> Prior | None:
    if name is None:
        return None
    return load_prior(shipped_path(name) if name in shipped_names() else name, space)


def _cells(file: Path, columns: Columns, scores: Sequence[str]) -> Mapping[str, Sequence[Any]]:
    """Return the columns of a table, which has all that are asked for.

    Raises:
        InputError: it has not, or cannot be read.
    """
    cells = read_columns(file)
    wanted = {
        "table.architecture=NAME": columns.architecture,
        "table.accuracy=NAME": columns.accuracy,
        "table.protocol=NAME": columns.protocol,
        **{f"scores=[{name}]": name for name in scores},
    }
    for key, name in wanted.items():
        if name is not None and name not in cells:
            guess = did_you_mean(name, cells)
            raise InputError(
                f"{file} has no column '{name}'{guess}; it has {', '.join(cells)}: choose with "
                f"{key}"
            )
    return cells


def _rows(
    file: Path,
    cells: Mapping[str, Sequence[Any]],
    columns: Columns,
    space: SearchSpace[Any],
    scores: Sequence[str],
    several: bool,
) -> list[Row]:
    """Return the trainings of a table.

    Raises:
        InputError: an architecture or a number is none.
    """
    known = accuracies(file, columns.accuracy, cells[columns.accuracy])
    values = {name: numbers(file, name, cells[name]) for name in scores}
    alike = file.stem if several else ALIKE
    rows = []
    for row, text in enumerate(cells[columns.architecture]):
        if np.isnan(known[row]):
            continue
        try:
            genotype = space.parse(str(text))
        except InputError as error:
            raise InputError(f"{file}, row {row + 1}: {error}") from None
        protocol = str(cells[columns.protocol][row]) if columns.protocol else alike
        beside = {name: float(column[row]) for name, column in values.items()}
        told = str(file)
        rows.append(Row(str(genotype), protocol, float(known[row]), told, beside, told))
    return rows


def _by_protocol(
    rows: Sequence[Row], space: SearchSpace[Any]
) -> tuple[list[Any], dict[str, Array]]:
    """Return architectures and their accuracies; the mean where one was trained repeatedly."""
    texts = list(dict.fromkeys(row.text for row in rows))
    known = {}
    for protocol in dict.fromkeys(row.protocol for row in rows):
        own = [(row.text, row.accuracy) for row in rows if row.protocol == protocol]
        known[protocol] = _means(texts, own)
    return [space.parse(text) for text in texts], known


def _scores(name: str, rows: Sequence[Row], space: SearchSpace[Any]) -> Array:
    """Return a score of each architecture, in the order of :func:`_by_protocol`.

    Raises:
        InputError: one has none, or they were measured in several ways.
    """
    texts = list(dict.fromkeys(row.text for row in rows))
    told = [row for row in rows if np.isfinite(row.scores.get(name, np.nan))]
    check_alike(name, {row.measured: row.source for row in reversed(told)})
    column = _means(texts, [(row.text, row.scores[name]) for row in told])
    if np.isnan(column).any():
        missing = set(np.array(texts)[np.isnan(column)].tolist())
        source = next(row.source for row in rows if row.text in missing)
        raise InputError(
            f"scores=[{name}]: {len(missing)} of {len(texts)} trained architectures have none, the "
            f"first in {source}; runs of algorithm=guided keep those that they searched by"
        )
    return column


def _means(texts: Sequence[str], values: Sequence[tuple[str, float]]) -> Array:
    """Return the mean of the values of each text; NaN where there is none."""
    index = {text: number for number, text in enumerate(texts)}
    rows = [index[text] for text, _ in values]
    sums = np.bincount(rows, [value for _, value in values], len(texts))
    counts = np.bincount(rows, minlength=len(texts))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
