"""The configuration of a training, typed and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nas_search.commands.finalists import finalists_of, for_training
from nas_search.commands.groups import read_choice, read_space
from nas_search.commands.own_architectures import own_architectures
from nas_search.commands.plugins import import_plugins
from nas_search.commands.reading import as_composed, beside, plain, read_as, read_group
from nas_search.core.errors import InputError
from nas_search.data import DATASETS, ImageData, fingerprint
from nas_search.runs import Run, open_run
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from nas_search.training import Finalist, FinalistsConfig, Pretrained, Recipe, read_pretrained

GROUPS = ("recipe", "search_space", "dataset", "benchmark", "finalists")


@dataclass(frozen=True)
class Beside:
    """Keys of the configuration that stand beside the groups.

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
        composed: the configuration that all this was read from; empty for a search's own finalists.
    """

    candidates: list[Finalist]
    data: ImageData
    recipe: Recipe
    finalists: FinalistsConfig
    device: str
    pretrained: Pretrained | None = None
    composed: dict[str, Any] = field(default_factory=dict)


def read_train_config(config: DictConfig) -> TrainConfig:
    """Return the typed form of a composed configuration; reads the run and the data set.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    what = read_as(Beside, "", beside(config, GROUPS))
    import_plugins(what.plugins)
    recipe = read_as(Recipe, "recipe", read_group(config, "recipe"))
    finalists = read_as(FinalistsConfig, "finalists", read_group(config, "finalists"))
    pretrained = read_pretrained(Path(what.weights)) if what.weights else None
    run = open_run(what.run) if what.run else None
    if run is not None:
        _check_plugins(run, what.plugins)
    data = _read_data(config, run, pretrained)
    if run is not None and what.architecture is not None:
        raise InputError("run=... and architecture=... both say what to train; give one of them")
    if run is not None:
        candidates = _finalists_of_run(run, finalists, data, recipe)
    else:
        named = _named_architectures(config, what.architecture, pretrained)
        candidates = [Finalist(for_training(one, data, recipe)) for one in named]
    return TrainConfig(
        candidates, data, recipe, finalists, what.device, pretrained, as_composed(config)
    )


def _read_data(config: DictConfig, run: Run | None, pretrained: Pretrained | None) -> ImageData:
    values = plain(config.get("dataset")) or (run.config["dataset"] if run else None)
    if values is None:
        raise InputError(
            f"choose the images to train on: dataset=NAME; possible: {', '.join(DATASETS.names())}"
            + ("" if pretrained is None else " (weights=... do not bring any)")
        )
    record, options = read_choice(DATASETS, "dataset", values)
    data = record.load(options)
    if run is not None and config.get("dataset") is None:
        here = fingerprint(data)
        if here != run.config.get("data"):
            raise InputError(
                f"the images of the search in {run.directory} have changed since (digest "
                f"{run.config.get('data')} there, {here} now); choose them with dataset=... to "
                "train on them nevertheless"
            )
    return data


def _check_plugins(run: Run, imported: Sequence[str]) -> None:
    """Refuse a run whose space or data set only its plugins know: they are imported on request.

    The directory may come from a stranger, and importing a module runs it.

    Raises:
        InputError: it is such a run.
    """
    missing = [name for name in run.config.get("plugins") or [] if name not in imported]
    names = (
        (SPACES, run.config["search_space"]["name"]),
        (DATASETS, run.config["dataset"]["name"]),
    )
    if missing and any(name not in registry.names() for registry, name in names):
        wanted = ",".join([*imported, *missing])
        raise InputError(
            f"the search in {run.directory} used modules of its own, whose code is run only if you "
            f"say so: add plugins=[{wanted}]"
        )


def _finalists_of_run(
    run: Run, finalists: FinalistsConfig, data: ImageData, recipe: Recipe
) -> list[Finalist]:
    if finalists.k < 1:
        raise InputError(f"finalists.k={finalists.k} trains nothing; set finalists.k=5")
    space, macro, options = read_space(run.config["search_space"])
    basis = Architecture(space.name, "", data.input_shape, data.num_classes, macro, options)
    candidates = finalists_of(run.evaluations, run.score, basis, finalists, data, recipe)
    if not candidates:
        raise InputError(
            f"the search in {run.directory} has no scored architecture; continue it first"
        )
    return candidates


def _named_architectures(
    config: DictConfig, given: Any, pretrained: Pretrained | None
) -> list[Architecture]:
    if given is not None:
        space = plain(config.get("search_space"))
        return own_architectures(given, space, read_group(config, "benchmark"))
    if pretrained is not None:
        return [pretrained.architecture]
    raise InputError(
        "say what to train: run=outputs/... (a search), architecture=... or weights=FOLDER"
    )
