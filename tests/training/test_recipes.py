"""The recipes of the package, and the values that a recipe refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import hydra
import pytest
import torch
import yaml
from torch import nn

from nas_search.commands.command import CONF
from nas_search.commands.reading import read_as
from nas_search.core.errors import InputError
from nas_search.training.optimizer import make_optimizer, make_schedule
from nas_search.training.recipe import Recipe
from tests.training.made import recipe

FILES = sorted((Path(CONF) / "recipe").glob("*.yaml"))


def read(path: Path) -> Recipe:
    return read_as(Recipe, "recipe", yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_is_complete_and_named_after_its_file(path: Path) -> None:
    """The yaml holds every key, so each can be overridden without a plus sign."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    made = read(path)
    assert made.name == path.stem and made.source
    for part, given in ((Recipe, values), *((type(getattr(made, k)), values[k]) for k in
                        ("optimizer", "schedule", "augmentation"))):  # fmt: skip
        assert {field.name for field in dataclasses.fields(part)} == set(given)


@pytest.mark.parametrize("command", ["config", "train"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_both_commands_compose_every_recipe(command: str, path: Path) -> None:
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose(command, overrides=[f"recipe={path.stem}", "recipe.epochs=7"])
    assert config.recipe.epochs == 7


def rates(how: Recipe, steps: int) -> list[float]:
    network = nn.Sequential(nn.Linear(2, 2))
    optimizer = make_optimizer(network, how)
    schedule = make_schedule(optimizer, how, steps)
    found = []
    for _ in range(how.epochs * (steps if how.schedule.interval == "step" else 1)):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def test_schedules_are_the_published_ones() -> None:
    import math

    bench = read(Path(CONF) / "recipe" / "nasbench201_12.yaml")
    assert (bench.optimizer.lr, bench.batch_size, bench.epochs) == (0.1, 256, 12)
    expected = [0.05 * (1 + math.cos(math.pi * i / 60)) for i in range(61)]
    assert rates(bench, 5) == pytest.approx(expected, abs=1e-9)
    darts = read(Path(CONF) / "recipe" / "darts.yaml")
    expected = [0.0125 * (1 + math.cos(math.pi * i / 600)) for i in range(601)]
    assert rates(darts, 5) == pytest.approx(expected, abs=1e-9)


def test_one_cycle_rises_and_falls_to_zero() -> None:
    found = rates(read(Path(CONF) / "recipe" / "fast.yaml"), 10)
    top = found.index(max(found))
    assert 0.2 < top / len(found) < 0.3
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert found[-1] < 1e-4 * max(found)


def test_warm_up_rises_before_the_cosine() -> None:
    found = rates(read(Path(CONF) / "recipe" / "finetune.yaml"), 10)
    assert found[:15] == sorted(found[:15]) and found[15:] == sorted(found[15:], reverse=True)
    assert max(found) == pytest.approx(1e-3)


def test_norms_and_biases_do_not_decay_if_decay_all_is_false() -> None:
    network = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)))
    how = recipe()
    how = dataclasses.replace(how, optimizer=dataclasses.replace(how.optimizer, decay_all=False))
    groups = make_optimizer(network, how).param_groups
    decays = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert {decays[id(p)] > 0 for p in network.parameters() if p.ndim > 1} == {True}
    assert {decays[id(p)] > 0 for p in network.parameters() if p.ndim == 1} == {False}
    assert isinstance(make_optimizer(network, read(FILES[2])), torch.optim.Optimizer)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "recipe.epochs=0 must be 1 or more"),
        ("batch_size", 1, "recipe.batch_size=1"),
        ("validation", 1.0, "recipe.validation=1.0 must be 0 or more and less than 1"),
        ("drop_path", 1.0, "recipe.drop_path"),
        ("layer_decay", 0.0, "more than 0 and at most 1"),
        ("precision", "fp8", "possible: auto, fp32, bf16"),
        ("keep", "first", "possible: last, best"),
        ("ema", 1.0, "recipe.ema"),
        ("optimizer", {"name": "adam"}, "possible: sgd, adamw"),
        ("optimizer", {"lr": 0}, "recipe.optimizer.lr=0"),
        ("optimizer", {"speed": 1}, "unknown key 'recipe.optimizer.speed'"),
        ("optimizer", {"lr": "fast"}, "recipe.optimizer.lr"),
        ("schedule", {"name": "step"}, "possible: cosine, one_cycle, constant"),
        ("schedule", {"name": "one_cycle", "interval": "epoch"}, "interval=step"),
        ("augmentation", {"policy": "auto"}, "possible: none, trivial_augment"),
    ],
)
def test_errors_name_impossible_values(key: str, value: object, message: str) -> None:
    values = yaml.safe_load((Path(CONF) / "recipe" / "fast.yaml").read_text(encoding="utf-8"))
    changed = {**values[key], **value} if isinstance(value, dict) else value
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        read_as(Recipe, "recipe", {**values, key: changed})
