"""On few images the winner learns once more, from the images that chose it too."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from nas_search.core.versions import versions
from nas_search.data import ImageData
from nas_search.training import (
    Finalist,
    FinalistsConfig,
    Renderers,
    TrainingPlan,
    train_finalists,
)
from nas_search.training.evaluate import evaluate
from nas_search.training.images import Images
from nas_search.training.loop import Training, TrainingFailure
from nas_search.training.recipe import Recipe
from nas_search.training.refit import refit_epochs, refit_recipe
from nas_search.training.steps import steps_per_epoch
from tests.training.made import ALONE, architecture, recipe, stripes_data

VIEWS = Renderers(lambda log, path: None, lambda names, rows: "")
FEW = recipe(epochs=1, batch_size=64, min_steps=12)
"""More steps than an epoch has, so the recipe is fitted to few images."""


def train(data: ImageData, folder: Path, how: Recipe, **wanted: Any) -> tuple[Finalist, str]:
    """Return the finalist and what the console said."""
    console = Console(file=io.StringIO(), width=1000)
    plan = TrainingPlan(how, FinalistsConfig(**wanted), "cpu", versions())
    one = Finalist(architecture("nasbench201", data))
    (done,) = train_finalists([one], data, plan, folder, console, VIEWS)
    return done, console.file.getvalue()  # type: ignore[attr-defined]


def weights(folder: Path, finalist: Finalist) -> dict[str, Tensor]:
    return load_file(folder / "finalists" / finalist.key / "weights.safetensors")


pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_search.training.steps.FEW_EPOCHS", 2)


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, set[int]]]:
    """Record (folder, epochs so far, rows) of the images that each training learns from."""
    seen: list[tuple[str, int, set[int]]] = []
    run = Training.run

    def recorded(self: Training, until: int, on_epoch: Any) -> None:
        inner = self._train.batches

        def batches(parts: Any) -> Any:
            rows = {int(self._train._rows[i]) for part in parts for i in part}
            if self._network.training:  # batch statistics are measured in eval mode
                seen.append((self._folder.name, self.done, rows))
            return inner(parts)

        self._train.batches = batches  # type: ignore[method-assign]
        run(self, until, on_epoch)

    monkeypatch.setattr(Training, "run", recorded)
    return seen


@pytest.mark.parametrize("seeds", [[0], [3, 4]])
def test_the_winner_learns_from_every_training_image_and_that_network_is_tested_and_kept(
    tmp_path: Path, learnt: list[tuple[str, int, set[int]]], seeds: list[int]
) -> None:
    data = stripes_data(tmp_path)
    done, said = train(data, tmp_path / "a", FEW, seeds=seeds)
    every = set(range(len(data.train)))
    for seed in seeds:
        rows = [rows for name, _, rows in learnt if name == f"seed{seed}"]
        assert rows and all(one < every for one in rows)
        again = [rows for name, _, rows in learnt if name == f"refit{seed}"]
        assert set.union(*again) == every
        assert len(again) == done.refit_epochs[seeds.index(seed)] > 0
    assert f"on all {len(every)} training images" in said
    folder = tmp_path / "a" / "finalists" / done.key
    written = json.loads((folder / "metrics.json").read_text())
    assert written["refit_epochs"] == done.refit_epochs
    assert written["validation_accuracies"] == done.validation
    assert len(done.validation) == len(done.test) == len(seeds)
    # The packed network is the one that learnt from all, and the one that is tested.
    network = architecture("nasbench201", data).build()
    network.load_state_dict(weights(tmp_path / "a", done))
    test = Images(data.test, torch.arange(len(data.test)), "cpu")
    assert evaluate(network.eval(), test, FEW, ALONE).accuracy in done.test
    kept = [torch.load(folder / f"refit{seed}" / "checkpoint.pt") for seed in seeds]
    held = weights(tmp_path / "a", done)
    assert any(
        all(torch.equal(value, state["network"][name]) for name, value in held.items())
        for state in kept
    )
    assert "validation: 0.0" in (folder / "recipe.yaml").read_text()


@pytest.mark.parametrize("keep", ["last", "best"])
def test_killed_in_the_last_training_and_continued_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    data = stripes_data(tmp_path)
    how, at = dataclasses.replace(FEW, keep=keep, min_steps=24), 1
    whole, _ = train(data, tmp_path / "whole", how)
    epoch = Training._epoch

    def killed(self: Training, number: int, last: int) -> Any:
        if self._folder.name == "refit0" and number > at:
            raise KeyboardInterrupt
        return epoch(self, number, last)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", killed)
        assert whole.refit_epochs[0] > at
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "killed", how)
        (kept,) = (tmp_path / "killed" / "finalists").glob("*/metrics.json")
        assert json.loads(kept.read_text())["status"] == "trained"
    continued, _ = train(data, tmp_path / "killed", how)
    assert continued.refit_epochs == whole.refit_epochs and continued.test == whole.test
    one, other = weights(tmp_path / "whole", whole), weights(tmp_path / "killed", continued)
    assert all(torch.equal(one[name], other[name]) for name in one)
    again, _ = train(data, tmp_path / "killed", how)  # nothing is trained again
    assert again.test == whole.test and again.refit_epochs == whole.refit_epochs


@pytest.mark.parametrize("why", ["enough images", "off", "nothing held out", "own validation"])
def test_nothing_is_trained_again_where_it_is_not_asked_for_or_nothing_is_held_out(
    tmp_path: Path, why: str
) -> None:
    data, how, wanted = stripes_data(tmp_path), FEW, {}
    if why == "enough images":
        how = recipe(epochs=2)
    if why == "off":
        wanted = {"refit": False}
    if why == "nothing held out":
        how, wanted = dataclasses.replace(FEW, validation=0.0), {"refit": True}
    if why == "own validation":
        data, wanted = dataclasses.replace(data, validation=data.test), {"refit": True}
    done, said = train(data, tmp_path / "a", how, **wanted)
    assert done.refit_epochs == [] and len(done.test) == 1 and "once more" not in said
    assert not list((tmp_path / "a").rglob("refit*"))


def test_asked_for_it_is_done_on_many_images_too(tmp_path: Path) -> None:
    done, _ = train(stripes_data(tmp_path), tmp_path / "a", recipe(epochs=2), refit=True)
    assert done.refit_epochs == [2]


def test_a_last_training_that_fails_leaves_the_chosen_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stripes_data(tmp_path)
    chosen, _ = train(data, tmp_path / "chosen", FEW, refit=False)
    epoch = Training._epoch

    def fails(self: Training, number: int, last: int) -> Any:
        if self._folder.name == "refit0":
            raise TrainingFailure("the loss is nan")
        return epoch(self, number, last)

    monkeypatch.setattr(Training, "_epoch", fails)
    done, said = train(data, tmp_path / "a", FEW)
    assert "on all images failed, the chosen network is kept: the loss is nan" in said
    assert done.status == "trained" and done.test == chosen.test and done.refit_epochs == []
    one, other = weights(tmp_path / "a", done), weights(tmp_path / "chosen", chosen)
    assert all(torch.equal(one[name], other[name]) for name in one)


@settings(deadline=None)
@given(st.integers(2, 500), st.integers(0, 60), st.integers(2, 64), st.integers(1, 40))
def test_all_images_are_learnt_from_in_as_many_steps(
    learns: int, held_out: int, batch: int, epochs: int
) -> None:
    how = recipe(epochs=epochs, batch_size=batch, keep="best")
    again = refit_recipe(how, learns, learns + held_out)
    each = steps_per_epoch(learns + held_out, batch)
    steps = epochs * steps_per_epoch(learns, batch)
    assert steps <= again.epochs * each < steps + each
    assert again.validation == 0 and again.keep == "last"
    ends = [refit_epochs(kept, how, again) for kept in range(1, epochs + 1)]
    assert ends == sorted(ends) and ends[0] >= 1 and ends[-1] == again.epochs
