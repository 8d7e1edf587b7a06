"""The configuration of a training, typed and checked."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from nas_search.commands.command import CONF
from nas_search.commands.search_schema import (
    import_plugins,
    plain,
    read_as,
    read_beside,
    read_finalists,
    read_group,
    read_name,
    read_space,
    read_table,
)
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.data import DATASETS, ImageData
from nas_search.report import best_first
from nas_search.runs import architecture as architectures
from nas_search.runs.architecture import Architecture
from nas_search.runs.store import read_evaluations
from nas_search.spaces import SPACES
from nas_search.tables import Table
from nas_search.training import (
    Finalist,
    FinalistsConfig,
    Pretrained,
    Recipe,
    choose_finalists,
    read_pretrained,
)

GROUPS = ("recipe", "search_space", "dataset", "benchmark", "finalists")


@dataclass(frozen=True)
class What:
    """What is trained, and where.

    Attributes:
        run: directory of a search; None for architectures of one's own.
        architecture: what names them: texts, files, numbers or a list of such.
        weights: folder of a trained finalist to start from.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        plugins: modules to import first.
    """

    run: str | None = None
    architecture: Any = None
    weights: str | None = None
    device: str = "auto"
    plugins: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TrainConfig:
    """A whole training, typed and checked.

    Attributes:
        candidates: what is trained.
        data: the images.
        recipe: how.
        finalists: seeds, halving, exports.
        device: where.
        pretrained: weights to start from; None for fresh ones.
    """

    candidates: list[Finalist]
    data: ImageData
    recipe: Recipe
    finalists: FinalistsConfig
    device: str
    pretrained: Pretrained | None


def read_train_config(config: DictConfig) -> TrainConfig:
    """Return the typed form of a composed configuration; reads the run and the data set.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    what = read_beside(What, config, GROUPS)
    recipe = read_as(Recipe, "recipe", read_group(config, "recipe"))
    finalists = read_finalists(read_group(config, "finalists"))
    pretrained = read_pretrained(Path(what.weights)) if what.weights else None
    run = _read_run(Path(what.run)) if what.run else {}
    if run:
        import_plugins(run.get("plugins") or [])
    data = _read_data(config, run, pretrained)
    if what.run and what.architecture is not None:
        raise InputError("run=... and architecture=... both say what to train; give one of them")
    if what.run:
        found = _of_run(Path(what.run), run, finalists)
    elif what.architecture is not None:
        found = [(a, None) for a in _of_one_s_own(config, what.architecture)]
    elif pretrained is not None:
        found = [(pretrained.architecture, None)]
    else:
        raise InputError(
            "say what to train: run=outputs/... (a search), architecture=... or weights=FOLDER"
        )
    candidates = [
        Finalist(for_training(architecture, data, recipe), score) for architecture, score in found
    ]
    return TrainConfig(candidates, data, recipe, finalists, what.device, pretrained)


def for_training(architecture: Architecture, data: ImageData, recipe: Recipe) -> Architecture:
    """Return ``architecture`` in the recipe's sizes, for the images and classes of ``data``.

    Raises:
        InputError: the recipe names a size that the skeleton does not have.
    """
    known = {f.name for f in dataclasses.fields(SPACES.get(architecture.search_space).macro)}
    for name in recipe.network or {}:
        if name not in known:
            raise InputError(
                f"recipe.network.{name}: {architecture.search_space} has no such size; possible: "
                f"{', '.join(sorted(known))}; or set recipe.network=null"
            )
    return dataclasses.replace(
        architecture,
        input_shape=data.input_shape,
        num_classes=data.num_classes,
        macro={**architecture.macro, **(recipe.network or {})},
    )


def finalists_of(
    evaluations: list[Evaluation], score: str, basis: Architecture, finalists: FinalistsConfig
) -> list[tuple[Architecture, float | None]]:
    """Return the finalists of a search and their scores, best first.

    Args:
        evaluations: of the search.
        score: name of its fitness.
        basis: any architecture of the search; the genotype is replaced.
        finalists: how many, and how different.
    """
    chosen = choose_finalists(
        basis.space, best_first(evaluations, score), finalists.k, finalists.distance
    )
    return [(dataclasses.replace(basis, genotype=e.genotype), e.scores[score]) for _, e in chosen]


def _read_run(directory: Path) -> dict[str, Any]:
    """Return the configuration with which a search ran."""
    file = directory / ".hydra" / "config.yaml"
    try:
        return dict(OmegaConf.to_container(OmegaConf.load(file)) or {})  # type: ignore[arg-type]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"run={directory} is not the directory of a search (cannot read {file}: {error})"
        ) from None


def _read_data(config: DictConfig, run: dict[str, Any], pretrained: Pretrained | None) -> ImageData:
    values = plain(config.get("dataset")) or run.get("dataset")
    if values is None:
        raise InputError(
            f"choose the images to train on: dataset=NAME; possible: {', '.join(DATASETS.names())}"
            + ("" if pretrained is None else " (weights=... do not bring any)")
        )
    record = DATASETS.get(read_name(values, "dataset"))
    options = {key: value for key, value in values.items() if key != "name"}
    return record.load(read_as(record.options, "dataset", options))


def _of_run(
    directory: Path, run: dict[str, Any], finalists: FinalistsConfig
) -> list[tuple[Architecture, float | None]]:
    if finalists.k < 1:
        raise InputError(f"finalists.k={finalists.k} trains nothing; set finalists.k=5")
    score = str(run["proxy"]["name"])
    space, macro, options = read_space(run["search_space"])
    basis = Architecture(space.name, "", (3, 32, 32), 10, macro, options)
    found = finalists_of(read_evaluations(directory / "run.sqlite"), score, basis, finalists)
    if not found:
        raise InputError(f"the search in {directory} has no scored architecture; continue it first")
    return found


def _of_one_s_own(config: DictConfig, given: Any) -> list[Architecture]:
    values = plain(config.get("search_space"))
    chosen = read_space(values) if values else None
    table = _table(config, chosen)
    return [_one(item, chosen, table) for item in (given if isinstance(given, list) else [given])]


def _table(config: DictConfig, chosen: Any) -> Table | None:
    group = read_group(config, "benchmark")
    name = read_name(group, "benchmark")
    space = chosen[0] if chosen else None
    if space is None and name in SPACES.names():
        space = SPACES.get(name).space()
    if space is None and name != "none":
        raise InputError(f"benchmark={name}: say of which space its rows are, search_space=NAME")
    return read_table(space, group) if space is not None else None


def _one(item: Any, chosen: Any, table: Table | None) -> Architecture:
    """Return the architecture that a file, a number, a name or a text form stands for."""
    text = str(item)
    if isinstance(item, int) or text.isdigit():
        if table is None:
            raise InputError(
                f"architecture={item} is a row of a table: add benchmark=NAME benchmark.path=FILE"
            )
        if not 0 <= int(text) < len(table.architectures):
            raise InputError(
                f"architecture={item}: the table has rows 0 to {len(table.architectures) - 1}"
            )
        genotype = str(table.architectures[int(text)])
        return _sized(table.space.name, genotype, chosen)
    if len(text) < 1000 and Path(text).exists():
        path = Path(text)
        if path.is_dir() or _is_json(path):
            names = [path / "genotype.json", path / "best.json"] if path.is_dir() else [path]
            return architectures.load(next((p for p in names if p.exists()), names[-1]))
        text = path.read_text(encoding="utf-8").strip()
    if chosen:
        return _sized(chosen[0].name, str(chosen[0].parse(text)), chosen)
    reasons = []
    for record in SPACES:
        try:
            return _sized(record.name, str(record.space().parse(text)), None)
        except InputError as error:
            reasons.append(f"{record.name}: {error}")
    raise InputError(
        f"architecture={text[:60]} is no file and no search space reads it; with search_space=NAME "
        "the message says where it goes wrong"
    )


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except ValueError:
        return False


def _sized(name: str, genotype: str, chosen: Any) -> Architecture:
    """Return a genotype in the sizes of its yaml, those in which a search scores it."""
    if chosen is None:
        file = Path(CONF) / "search_space" / f"{name}.yaml"
        values = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
        chosen = read_space({**values, "name": name})
    _, macro, options = chosen
    return Architecture(name, genotype, (3, 32, 32), 10, macro, options)
