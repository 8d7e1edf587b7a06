"""Features that need an extra (TensorBoard, ONNX): their files, and the error without it."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path

import pytest
from rich.console import Console

from nas_search.core.errors import InputError
from nas_search.core.versions import versions
from nas_search.training import Finalist, FinalistsConfig, Renderers, TrainingPlan, train_finalists
from tests.training.made import architecture, recipe, stripes_data

pytestmark = pytest.mark.usefixtures("unchecked")


def train(folder: Path, finalists: FinalistsConfig) -> Path:
    """Train one network; return the folder of the finalist."""
    data = stripes_data(folder)
    plan = TrainingPlan(recipe(epochs=3), finalists, "cpu", versions())
    finalist = Finalist(architecture("nasbench201", data))
    console = Console(file=io.StringIO())
    renderers = Renderers(lambda log, path: None, lambda names, rows: "")
    train_finalists([finalist], data, plan, folder, console, renderers)
    return folder / "finalists" / finalist.key


def test_tensorboard_holds_the_values_of_the_log(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = train(tmp_path, FinalistsConfig(tensorboard=True)) / "seed0"
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    with (folder / "log.csv").open(encoding="utf-8") as file:
        log = list(csv.DictReader(file))
    for name in ("loss", "train_accuracy", "validation_loss", "validation_accuracy", "lr"):
        shown = [(e.step, e.value) for e in events.Scalars(name)]
        assert [step for step, _ in shown] == [1, 2, 3]
        assert [value for _, value in shown] == pytest.approx(
            [float(row[name]) for row in log], rel=1e-5, abs=1e-12
        )


def test_winner_is_exported_in_the_requested_formats(tmp_path: Path) -> None:
    folder = train(tmp_path, FinalistsConfig(export=["pt2", "onnx"]))
    assert (folder / "model.pt2").stat().st_size > 0
    assert (folder / "model.onnx").stat().st_size > 0


@pytest.mark.parametrize(
    ("finalists", "package", "extra"),
    [
        (FinalistsConfig(export=["onnx"]), "onnxscript", "[onnx]"),
        (FinalistsConfig(tensorboard=True), "tensorboard", "[tensorboard]"),
    ],
)
def test_missing_package_is_named_with_its_extra_before_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    finalists: FinalistsConfig,
    package: str,
    extra: str,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == package else find(name, *a)
    )
    with pytest.raises(InputError) as caught:
        train(tmp_path, finalists)
    assert package in str(caught.value) and extra in str(caught.value)
    assert not list(tmp_path.rglob("log.csv"))
