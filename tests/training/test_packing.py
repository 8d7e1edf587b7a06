"""What is left of a training if the disk is full, or if the network cannot be written as a file."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from nas_search.core.errors import RunError
from nas_search.core.versions import versions
from nas_search.export import standalone
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES, Choices, ChoiceSpace, SpaceRecord, check_problem
from nas_search.training import (
    Finalist,
    FinalistsConfig,
    Renderers,
    TrainingPlan,
    train_finalists,
)
from tests.training.made import architecture, recipe, stripes_data


def train(folder: Path, finalist: Finalist, **wanted: Any) -> str:
    """Train one network; return what the console shows."""
    folder.mkdir(exist_ok=True)
    data = stripes_data(folder)
    plan = TrainingPlan(recipe(epochs=1), FinalistsConfig(**wanted), "cpu", versions())
    console = Console(file=io.StringIO(), width=1000)
    renderers = Renderers(lambda log, path: None, lambda names, rows: "")
    train_finalists([finalist], data, plan, folder, console, renderers)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def full_disk(*arguments: Any, **keywords: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("what", ["write_json", "write_whole"])
def test_a_folder_that_the_disk_refuses_ends_the_command_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    finalist = Finalist(architecture("nasbench201", stripes_data(tmp_path)))
    with monkeypatch.context() as patch:
        refuse: Callable[..., None] = full_disk
        if what == "write_whole":

            def refuse(path: Path, write: object) -> None:
                raise RunError(f"cannot write {path} (No space left on device)")

        patch.setattr(standalone, what, refuse)
        with pytest.raises(
            RunError, match=r"trained but not all is written: cannot write /.*space"
        ):
            train(tmp_path, finalist)
    folder = tmp_path / "finalists" / finalist.key
    assert (tmp_path / "finalists" / "finalists.csv").exists()
    assert json.loads((folder / "metrics.json").read_text())["status"] == "trained"
    assert not (folder / "model.py").exists()
    train(tmp_path, Finalist(finalist.architecture))  # the command repeated
    assert (folder / "model.py").exists() and (folder / "weights.safetensors").exists()


@pytest.mark.usefixtures("unchecked")
def test_a_program_that_the_disk_refuses_ends_the_command_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalist = Finalist(architecture("nasbench201", stripes_data(tmp_path)))
    monkeypatch.setattr(torch.export, "save", full_disk)
    with pytest.raises(RunError, match=r"not all is written: cannot write .*model.pt2 \(.*space"):
        train(tmp_path, finalist, export=["pt2"])
    folder = tmp_path / "finalists" / finalist.key
    assert (folder / "model.py").exists()
    assert json.loads((folder / "metrics.json").read_text())["test_accuracy"] is not None


HIDDEN = {"scale": 1.0}
"""Changed below in a way that no source tells."""


class Scaled(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.head(x.mean((2, 3))) * HIDDEN["scale"])


class ScaledSpace(ChoiceSpace[Choices]):
    name = "scaled"
    positions = (("a", "b"),)

    def build(
        self, genotype: Choices, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        check_problem(input_shape, num_classes, 1, "nothing")
        return Scaled(input_shape[0], num_classes)


@dataclass(frozen=True)
class NoSizes:
    pass


SCALED = SpaceRecord("scaled", ScaledSpace, NoSizes, source="this file")


def test_a_model_file_with_other_logits_is_said_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalist = Finalist(Architecture("scaled", "a", (3, 8, 8), 3, {}, {}))
    with SPACES.temporarily(SCALED):
        monkeypatch.setitem(HIDDEN, "scale", 3.0)
        shown = train(tmp_path, finalist)
        folder = tmp_path / "finalists" / finalist.key
        assert f"{finalist.key}: cannot write model.py: its logits differ by" in shown
        left = {file.name for file in folder.iterdir()}
        assert "model.py" not in left
        assert {
            "weights.safetensors",
            "genotype.json",
            "preprocessing.json",
            "metrics.json",
        } <= left


def inside(inputs: int, classes: int) -> nn.Module:
    class Inside(Scaled):
        pass

    return Inside(inputs, classes)


def test_a_source_that_cannot_be_followed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalist = Finalist(Architecture("scaled", "a", (3, 8, 8), 3, {}, {}))
    monkeypatch.setattr(ScaledSpace, "build", lambda self, g, shape, n, **macro: inside(3, n))
    with SPACES.temporarily(SCALED):
        shown = train(tmp_path, finalist)
        assert f"{finalist.key}: cannot write model.py: " in shown
        assert (tmp_path / "finalists" / finalist.key / "weights.safetensors").exists()
