"""What may be said of accuracies: ranks, chance, uneven classes, fine-tuning against scratch."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.nn import functional

from nas_search.core.errors import InputError
from nas_search.core.versions import versions
from nas_search.data import DATASETS, ImageData
from nas_search.training import Finalist, FinalistsConfig, Renderers, TrainingPlan, train_finalists
from nas_search.training.evaluate import evaluate
from nas_search.training.fine_tune import read_pretrained
from nas_search.training.images import Images
from nas_search.training.recipe import Recipe
from nas_search.training.remarks import scratch_remark, winner_remark
from nas_search.training.verdict import best_seed, by_validation, chance
from tests.training.made import ALONE, architecture, recipe, stripes_data, training

pytestmark = pytest.mark.usefixtures("unchecked")
VIEWS = Renderers(lambda log, path: None, lambda names, rows: "")
CELLS = (
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
    "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
)


def plan(how: Recipe, **finalists: Any) -> TrainingPlan:
    return TrainingPlan(how, FinalistsConfig(**finalists), "cpu", versions())


def train(
    data: ImageData, folder: Path, how: TrainingPlan, count: int = 1
) -> tuple[list[Finalist], str]:
    """Return the finalists and what the console said."""
    made = [
        Finalist(dataclasses.replace(architecture("nasbench201", data), genotype=cell))
        for cell in CELLS[:count]
    ]
    console = Console(file=io.StringIO(), width=200)
    ranking = train_finalists(made, data, how, folder, console, VIEWS)
    return ranking, console.file.getvalue()  # type: ignore[attr-defined]


def arrays(folder: Path, counts: tuple[int, ...], tests: int = 0) -> ImageData:
    """Return images of noise with so many of each class."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    parts: dict[str, Any] = {"y_train": labels}
    parts["x_train"] = rng.integers(0, 256, (len(labels), 8, 8, 3)).astype(np.uint8)
    if tests:
        parts["y_test"] = np.repeat(np.arange(len(counts)), tests)
        parts["x_test"] = rng.integers(0, 256, (len(parts["y_test"]), 8, 8, 3)).astype(np.uint8)
    np.savez(folder / "noise.npz", **parts)
    record = DATASETS.get("npz")
    return record.load(record.options(path=str(folder / "noise.npz")))


def finalist(data: ImageData, accuracy: float, loss: float) -> Finalist:
    made = Finalist(architecture("nasbench201", data))
    return dataclasses.replace(
        made, validation=[accuracy], balanced=[accuracy], losses=[loss], status="trained"
    )


def test_loss_orders_what_accuracy_does_not_tell_apart_and_nan_never_ranks(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    pairs = [(60.0, 0.9), (math.nan, 0.0), (65.0, 1.2), (30.0, 0.1), (58.0, 0.8), (20.0, 0.3)]
    made = [finalist(data, *pair) for pair in pairs]
    ordered = [one.losses[0] for one in by_validation(made, recipe(), 23)]
    assert ordered == [0.8, 0.9, 1.2, 0.1, 0.3, 0.0]
    # A thousand times as many images tell them apart.
    ordered = [one.validation[0] for one in by_validation(made, recipe(), 23000)][:5]
    assert ordered == [65.0, 60.0, 58.0, 30.0, 20.0]


@pytest.mark.parametrize(("share", "images"), [(0.5, 23), (0.9, 100), (0.7, 400)])
def test_chance_is_the_spread_of_differences_between_equal_networks(
    share: float, images: int
) -> None:
    drawn = np.random.default_rng(0).binomial(images, share, (20000, 2)) / images
    spread = 100 * float((drawn[:, 0] - drawn[:, 1]).std())
    assert chance(100 * share, images) == pytest.approx(spread, rel=0.05)
    assert chance(100, images) > 0


def test_best_seed_has_the_highest_accuracy_then_the_lowest_loss(tmp_path: Path) -> None:
    made = finalist(stripes_data(tmp_path), 50, 1)
    made.validation, made.losses = [50.0, math.nan, 60.0, 60.0], [0.1, 0.0, 0.9, 0.8]
    assert best_seed(made, recipe()) == 3


@pytest.mark.slow
def test_too_small_a_validation_is_said_with_what_to_do(tmp_path: Path) -> None:
    data = arrays(tmp_path, (20, 20, 20), tests=2)  # noise: both networks guess
    how = recipe(epochs=1)
    ranking, said = train(data, tmp_path / "a", plan(how), count=2)
    assert "validation images do not tell 2 of the finalists apart" in said
    assert "finalists.seeds=[0,1,2]" in said
    assert ranking[0].losses < ranking[1].losses
    ranking, _ = train(data, tmp_path / "b", plan(how, seeds=[0, 1, 2]), count=2)
    assert [len(one.validation) for one in ranking] == [3, 3]


def test_few_images_change_epochs_and_batches_and_it_is_said(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    how = recipe(epochs=1, batch_size=64, min_steps=20)
    (done,), said = train(data, tmp_path / "a", plan(how))
    count = len(data.train) - 9
    assert f"{count} images are few: 40 epochs in batches of 16 at learning rate 0.025" in said
    assert (
        "not recipe.epochs=1 in batches of 64 at 0.05, which would be 1 steps, fewer than recipe."
        in said
    )
    assert done.epochs == 40 and done.kept_epochs == [40]
    folder = tmp_path / "a" / "finalists" / done.key
    assert json.loads((folder / "metrics.json").read_text())["kept_epochs"] == [40]


def test_one_picture_per_class_is_trained_and_not_tested_or_refused(tmp_path: Path) -> None:
    data = arrays(tmp_path, (1, 1, 1, 1))
    (done,), said = train(data, tmp_path / "a", plan(recipe(epochs=1)))
    assert done.status == "trained" and done.test == []
    assert "nan" not in said and "not tested, there are no test images" in said
    text = (tmp_path / "a" / "finalists" / "finalists.csv").read_text()
    assert "nan" not in text
    with pytest.raises(InputError, match="nothing to choose by: give two or more images"):
        train(data, tmp_path / "b", plan(recipe(epochs=1)), count=2)
    with pytest.raises(InputError, match="nothing to choose by"):
        train(data, tmp_path / "c", plan(recipe(epochs=1, keep="best")))
    assert not (tmp_path / "b").exists()


def test_guessing_is_called_guessing(tmp_path: Path) -> None:
    data = arrays(tmp_path, (5, 5, 5), tests=4)
    made = finalist(data, 50, 1)
    made.test = made.test_balanced = [100 / 3]
    said = winner_remark(made, data, plan(recipe()), tmp_path)
    assert "no better than always answering one class (33.33 %)" in said
    made.test = made.test_balanced = [75.0]
    assert "no better" not in winner_remark(made, data, plan(recipe()), tmp_path)


def test_balanced_accuracy_is_the_mean_of_the_classes(tmp_path: Path) -> None:
    data = arrays(tmp_path, (30, 6, 3))

    class FirstClass(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(3)[:1].expand(len(x), 3)

    rows = torch.arange(len(data.train))
    images = Images(data.train, rows, "cpu")
    judged = evaluate(FirstClass(), images, recipe(batch_size=7), ALONE)
    right = (data.train.labels == 0).double()
    assert judged.accuracy == pytest.approx(float(100 * right.mean()))
    assert judged.balanced_accuracy == pytest.approx(100 / 3)
    assert judged.loss == pytest.approx(
        float(functional.cross_entropy(torch.eye(3)[:1].expand(len(rows), 3), data.train.labels))
    )
    absent = images.select((data.train.labels != 2).nonzero()[:, 0])
    assert evaluate(FirstClass(), absent, recipe(), ALONE).balanced_accuracy == pytest.approx(50)


def test_confusion_counts_every_answer(tmp_path: Path) -> None:
    data = arrays(tmp_path, (12, 6, 3))
    answers: list[int] = []

    class Guesses(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(len(answers)))
            answers.extend(logits.argmax(1).tolist())
            return logits

    rows = (data.train.labels != 1).nonzero()[:, 0]  # one class does not occur
    judged = evaluate(Guesses(), Images(data.train, rows, "cpu"), recipe(batch_size=4), ALONE)
    expected = [[0] * 3 for _ in range(3)]
    for label, answer in zip(data.train.labels[rows].tolist(), answers, strict=True):
        expected[label][answer] += 1
    assert judged.confusion == expected
    right = sum(expected[n][n] for n in range(3))
    assert judged.accuracy == pytest.approx(100 * right / len(rows))


def test_balanced_weights_make_every_class_count_alike(tmp_path: Path) -> None:
    """The gradient of an epoch in one batch is that of the mean over classes of their means."""
    data = arrays(tmp_path, (30, 6, 3))
    how = recipe(class_weights="balanced", validation=0.0)
    made = training(tmp_path / "t", data, how)
    labels = data.train.labels
    logits = torch.randn(len(labels), 3)
    each = functional.cross_entropy(logits, labels, reduction="none")
    means = torch.stack([each[labels == c].mean() for c in range(3)])
    assert float(made._loss(logits, labels)) == pytest.approx(float(means.mean()), rel=1e-5)
    # Of half the images (as when memory ends a batch) the sums are those of the whole.
    halves = torch.arange(len(labels)).chunk(2)
    parts = [float(made._loss(logits[h], labels[h])) * len(h) / len(labels) for h in halves]
    assert sum(parts) == pytest.approx(float(means.mean()), rel=1e-5)


def test_uneven_classes_are_said_and_balanced_weights_rank_by_balanced_accuracy(
    tmp_path: Path,
) -> None:
    data = arrays(tmp_path, (40, 8), tests=5)
    _, said = train(data, tmp_path / "a", plan(recipe(epochs=1)))
    assert "uneven classes: 8 images of 1, 40 of 0; recipe.class_weights=balanced" in said
    how = recipe(epochs=1, class_weights="balanced")
    (done,), said = train(data, tmp_path / "b", plan(how))
    assert "uneven classes" not in said
    row = (tmp_path / "b" / "finalists" / "finalists.csv").read_text().splitlines()
    named = dict(zip(row[0].split(","), row[1].split(","), strict=False))
    assert float(named["validation_balanced_accuracy"]) == pytest.approx(done.balanced[0])
    first, second = finalist(data, 90, 1), finalist(data, 60, 1)
    first.balanced, second.balanced = [50.0], [60.0]
    assert by_validation([first, second], how, 10**6)[0] is second
    assert by_validation([first, second], recipe(), 10**6)[0] is first


@pytest.mark.slow
def test_fine_tuning_on_few_images_is_compared_with_training_from_scratch(tmp_path: Path) -> None:
    data = stripes_data(tmp_path, n=120)
    (first,), _ = train(data, tmp_path / "a", plan(recipe(epochs=2)))
    pretrained = read_pretrained(tmp_path / "a" / "finalists" / first.key)
    how = recipe(keep="best", min_steps=20, epochs=1, freeze=1, layer_decay=0.8)
    tuned = dataclasses.replace(plan(how), pretrained=pretrained)
    (second,), said = train(data, tmp_path / "b", tuned)
    assert "fine-tuning" in said and "from scratch" in said
    assert (tmp_path / "b" / "finalists" / second.key / "scratch0" / "log.csv").exists()
    # On enough images it is not: it would double a long training.
    long = dataclasses.replace(tuned, recipe=dataclasses.replace(how, min_steps=0))
    _, said = train(data, tmp_path / "c", long)
    assert "from scratch" not in said


def test_fine_tuning_that_gains_nothing_says_so(tmp_path: Path) -> None:
    made = finalist(stripes_data(tmp_path), 50, 1)
    made.test = [60.0]
    assert "fine-tuning beat training from scratch: 55.00 %" in scratch_remark(made, [50.0, 60.0])
    assert "did not beat training from scratch: 60.00 %" in scratch_remark(made, [60.0])
    assert scratch_remark(made, []) == ""
