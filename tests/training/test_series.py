"""Series are moved and masked along time alone; what is for pictures is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from nas_search.commands.run_search import run_search
from nas_search.core.errors import InputError
from nas_search.data import DATASETS, normalize
from nas_search.runs.architecture import Architecture
from nas_search.training.augment import augment
from nas_search.training.choice import FinalistsConfig
from nas_search.training.finalist import Finalist, TrainingPlan
from nas_search.training.recipe import Augmentation
from nas_search.training.remarks import check_request
from tests.commands.test_search_schema import compose
from tests.training.made import recipe

STATISTICS = ((0.5, 2.0), (0.25, 4.0))


def test_series_are_moved_along_time_and_their_ends_repeated() -> None:
    torch.manual_seed(0)
    raw = torch.randn(1, 2, 1, 9).repeat(300, 1, 1, 1)
    moved = augment(raw, Augmentation(crop=2), ((0.0, 0.0), (1.0, 1.0)), series=True)
    possible = []
    for offset in range(-2, 3):
        steps = [min(max(t + offset, 0), 8) for t in range(9)]
        possible.append(raw[0][:, :, steps].numpy().tobytes())
    counts = [sum(one.numpy().tobytes() == each for one in moved) for each in possible]
    assert sum(counts) == 300 and min(counts) > 30


def test_all_rows_of_a_series_are_moved_and_masked_alike() -> None:
    torch.manual_seed(0)
    raw = torch.randn(50, 2, 1, 20).expand(-1, -1, 8, -1).contiguous()
    series = augment(raw, Augmentation(crop=3, cutout=5), STATISTICS, series=True)
    assert torch.equal(series, series[:, :, :1].expand_as(series))
    assert len({one.numpy().tobytes() for one in series}) == 50


def test_cutout_hides_so_many_steps_in_a_row() -> None:
    torch.manual_seed(0)
    raw = torch.randn(200, 2, 1, 20)
    series = augment(raw, Augmentation(cutout=4), STATISTICS, series=True)
    plain = normalize(raw, *STATISTICS)
    hidden = (series == 0)[:, 0, 0]
    assert torch.equal(series[~(series == 0)], plain[~(series == 0)])
    for one in hidden:
        steps = torch.nonzero(one).flatten().tolist()
        assert 1 < len(steps) <= 4 and steps == list(range(steps[0], steps[-1] + 1))
        assert len(steps) == 4 or 0 in steps or 19 in steps


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Augmentation(flip=True), "flip is not for series: time runs one way; set .*flip=false"),
        (Augmentation(policy="rand_augment"), "policy is not for series: .*set .*policy=none"),
        (Augmentation(mix="cutmix"), "mix is not for series: .*mix=mixup or none"),
    ],
)
def test_what_is_for_pictures_is_refused(how: Augmentation, said: str) -> None:
    with pytest.raises(InputError, match=said):
        augment(torch.randn(2, 2, 1, 9), how, STATISTICS, series=True)


def waves(folder: Path, n: int = 60, length: int = 32) -> Path:
    """Write an .npz of two channels of noise with a wave whose frequency is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    phases = rng.uniform(0, 6, (n, 1))
    angles = 2 * np.pi * (2.0 ** labels[:, None]) * np.arange(length) / length + phases
    series = rng.normal(scale=0.3, size=(n, 2, length)).astype(np.float32)
    series[:, 0] += np.sin(angles)
    path = folder / "waves.npz"
    np.savez(path, x_train=series, y_train=labels)
    return path


def search(*overrides: str) -> tuple[str, ...]:
    return (
        *("experiment=series", "search_space.widths=[[8,12],[12,16]]", "search_space.depths=[1]"),
        *("search_space.stem=8", "proxy.batch_size=12", "budget=quick", "budget.evaluations=4"),
        *("executor=inline", "device=cpu", "algorithm=random", "recipe.min_steps=0"),
        *("finalists.k=1", "recipe.validation=0.2", "recipe.batch_size=16", *overrides),
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Augmentation(flip=True), "flip is not for series"),
        (Augmentation(crop=12), "crop=12 moves series of length 12 out of sight"),
        (Augmentation(crop=11, cutout=30), ""),
    ],
)
def test_requests_that_do_not_fit_series_are_refused_before_training(
    tmp_path: Path, how: Augmentation, said: str
) -> None:
    record = DATASETS.get("npz")
    options = record.options(path=str(waves(tmp_path, length=12)), layout="ncl", rows=1)
    data = record.load(options)
    text = "|".join(["r1_k3_c32_d1_max", "r1_k3_c32_d1_max", "r1_k3_c64_d1_max"])
    finalist = Finalist(
        Architecture("conv1d", text, data.input_shape, data.num_classes, {"stem": 8}, {})
    )
    plan = TrainingPlan(recipe(augmentation=how), FinalistsConfig(), "cpu", {})
    if not said:
        check_request([finalist], data, plan)
        return
    with pytest.raises(InputError, match=said):
        check_request([finalist], data, plan)


@pytest.mark.slow
def test_series_from_search_to_a_program(tmp_path: Path) -> None:
    data = f"dataset.path={waves(tmp_path)}"
    config = compose(*search(data, "recipe.epochs=12", "finalists.export=[onnx,pt2]"))
    (tmp_path / "run").mkdir()
    with Path("/dev/null").open("w") as nowhere:
        run_search(config, tmp_path / "run", Console(file=nowhere))
    (folder,) = (one.parent for one in (tmp_path / "run" / "finalists").glob("*/model.py"))
    assert (folder / "model.onnx").exists() and (folder / "model.pt2").exists()
    assert json.loads((folder / "preprocessing.json").read_text())["input_shape"] == [2, 1, 32]
    series = np.load(tmp_path / "waves.npz")["x_train"]
    np.save(tmp_path / "one.npy", series[4])
    np.save(tmp_path / "several.npy", series[:30])

    def named(*files: str) -> list[str]:
        command = [sys.executable, str(folder / "model.py"), *files]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return (done.stdout + done.stderr).splitlines()

    (line,) = named("one.npy")
    assert line.startswith("one.npy: ")
    several = named("several.npy")
    assert several[4].removeprefix("several.npy[4]") == line.removeprefix("one.npy")
    right = sum(f": {number % 3} (" in said for number, said in enumerate(several))
    assert right >= 24
    (refusal,) = named("one.npy", "several.npy")
    assert refusal == "a file holds several series; name one such file at a time"
    (refusal,) = named("waves.npz")
    assert refusal == "waves.npz is an archive of arrays; save series with numpy.save"

    command = [
        *(sys.executable, "-m", "nas_search.train", f"weights={folder}", data, "recipe=finetune"),
        *("dataset=npz", "dataset.layout=ncl", "dataset.rows=1", "recipe.epochs=1"),
        *("recipe.min_steps=0", "device=cpu", f"hydra.run.dir={tmp_path / 'tuned'}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert " training series, " in done.stdout and "image" not in done.stdout + done.stderr
    assert list((tmp_path / "tuned").glob("finalists/*/model.py"))
