"""The configuration of a training, typed and checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nas_search.commands.finalists import finalists_of, for_training, ranked_by
from nas_search.commands.finalists_by import settled_remark
from nas_search.commands.groups import read_choice, read_space
from nas_search.commands.own_architectures import own_architectures
from nas_search.commands.plugins import import_plugins
from nas_search.commands.reading import as_composed, beside, plain, read_as, read_group
from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data import DATASETS, ImageData, fingerprint
from nas_search.runs import Run, open_run, runs_in
from nas_search.runs.architecture import Architecture
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
        remark: what is to be said of how the finalists were chosen.
    """

    candidates: list[Finalist]
    data: ImageData
    recipe: Recipe
    finalists: FinalistsConfig
    device: str
    pretrained: Pretrained | None = None
    composed: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def read_train_config(config: DictConfig) -> TrainConfig:
    """Return the typed form of a composed configuration; reads the run and the data set.

    Raises:
        InputError: a key is unknown or has the wrong type or an impossible value; the message says
            which and what is possible.
    """
    what = read_as(Beside, "", beside(config, GROUPS))
    if what.run is None and what.architecture is None and what.weights is None:
        raise InputError(
            "say what to train: run=outputs/... (a search), architecture=... or weights=FOLDER"
        )
    if what.run is not None and what.architecture is not None:
        raise InputError("run=... and architecture=... both say what to train; give one of them")
    import_plugins(what.plugins)
    recipe = read_as(Recipe, "recipe", read_group(config, "recipe"))
    finalists = read_as(FinalistsConfig, "finalists", read_group(config, "finalists"))
    pretrained = read_pretrained(user_path(what.weights, "weights")) if what.weights else None
    runs = _read_runs(user_path(what.run, "run"), what.plugins) if what.run else []
    data = _read_data(config, runs, pretrained)
    remark = ""
    if runs:
        remark = _remark(runs[0], finalists.by) if len(runs) == 1 else ""
        candidates = _finalists_of_runs(runs, finalists, data, recipe)
    else:
        named = _named_architectures(config, what.architecture, pretrained)
        candidates = [Finalist(for_training(one, data, recipe)) for one in named]
    return TrainConfig(
        *(candidates, data, recipe, finalists, what.device, pretrained),
        as_composed(config),
        remark,
    )


def _remark(run: Run, by: str) -> str:
    """Return what is to be said of how the finalists of a search are chosen."""
    space, _, _ = read_space(run.config["search_space"])
    return settled_remark(by, run.objectives, space, bool(run.config.get("ranking")))


def _read_runs(folder: Path, plugins: list[str]) -> list[Run]:
    """Return the run in a folder, or those of a sweep.

    Raises:
        InputError: there is none, or it needs modules that the user has not named: what a folder
            names is imported only on the user's word.
    """
    sweep = [] if (folder / "run.sqlite").exists() else runs_in(folder)
    runs = [open_run(one) for one in sweep or [folder]]
    needed = dict.fromkeys(name for run in runs for name in run.config.get("plugins") or [])
    missing = [str(name) for name in needed if name not in plugins]
    if missing:
        raise InputError(
            f"the search in {folder} used plugins={missing}; if you trust these modules, add "
            f"plugins=[{','.join(missing)}]"
        )
    return runs


def _read_data(config: DictConfig, runs: list[Run], pretrained: Pretrained | None) -> ImageData:
    values = plain(config.get("dataset"))
    if values is None and runs:
        values = runs[0].config["dataset"]
        if any(run.config["dataset"] != values for run in runs):
            raise InputError(
                "the searches of this sweep have different data; say what to train on: dataset=NAME"
            )
    if values is None:
        raise InputError(
            f"choose the images to train on: dataset=NAME; possible: {', '.join(DATASETS.names())}"
            + ("" if pretrained is None else " (weights=... do not bring any)")
        )
    record, options = read_choice(DATASETS, "dataset", values)
    data = record.load(options)
    if plain(config.get("dataset")) is None:
        _check_images(runs, data)
    return data


def _check_images(runs: list[Run], data: ImageData) -> None:
    """Refuse to train what was found on images that have changed since.

    Raises:
        InputError: they have.
    """
    here = fingerprint(data)
    for run in runs:
        if here != run.config.get("data"):
            raise InputError(
                f"the images of the search in {run.directory} have changed since (digest "
                f"{run.config.get('data')} there, {here} now); choose them with dataset=... to "
                "train on them nevertheless"
            )


def _finalists_of_runs(
    runs: list[Run], finalists: FinalistsConfig, data: ImageData, recipe: Recipe
) -> list[Finalist]:
    """Return the finalists of one search, or the best of each search of a sweep, each once."""
    if finalists.k < 1:
        raise InputError(f"finalists.k={finalists.k} trains nothing; set finalists.k=5")
    if len(runs) > 1:  # the searches of a sweep are compared by what they themselves found best
        by = "fitness" if finalists.by == "auto" else finalists.by
        finalists = dataclasses.replace(finalists, k=1, by=by)
    found: dict[str, Finalist] = {}
    for run in runs:
        space, macro, options = read_space(run.config["search_space"])
        basis = Architecture(space.name, "", data.input_shape, data.num_classes, macro, options)
        ranking = run.config.get("ranking") or ()
        ranked, score = ranked_by(run.eligible, run.objectives, finalists.by, space, ranking)
        for one in finalists_of(ranked, score, basis, finalists, data, recipe):
            # Scores of different searches are not comparable: none stands beside the accuracies.
            found.setdefault(one.key, one if len(runs) == 1 else Finalist(one.architecture))
    if not found:
        raise InputError(
            f"the search in {runs[0].directory} has no scored architecture; continue it first"
        )
    return list(found.values())


def _named_architectures(
    config: DictConfig, given: Any, pretrained: Pretrained | None
) -> list[Architecture]:
    if given is not None:
        space = plain(config.get("search_space"))
        return own_architectures(given, space, read_group(config, "benchmark"))
    assert pretrained is not None
    return [pretrained.architecture]
