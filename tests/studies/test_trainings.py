"""The studies that train: what they compare, and that finished trainings are not repeated."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import training_speed
from benchmarks.reduced import cifar10, read_recipe, with_crop
from nas_search.core.errors import InputError
from nas_search.training.loop import Epoch
from studies import found_against_published, recipe_against_table, training_report
from studies.result_files import RESULTS
from tests.tables.made import cells, read, write_csv


def images(folder: Path, n: int = 120, side: int = 16, classes: int = 3) -> Path:
    """Write an .npz of images whose brightest channel is the class."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split in ("train", "test"):
        labels = np.arange(n) % classes
        pixels = rng.integers(0, 120, size=(n, side, side, 3)).astype(np.uint8)
        pixels[np.arange(n), :, :, labels] += 100
        arrays |= {f"x_{split}": pixels, f"y_{split}": labels}
    path = folder / "images.npz"
    np.savez(path, **arrays)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def call(monkeypatch: pytest.MonkeyPatch, module: object, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
    module.main()  # type: ignore[attr-defined]


def test_reduced_images_are_means_of_areas_and_as_many_of_every_class(tmp_path: Path) -> None:
    path = images(tmp_path)
    data = cifar10(str(path), 30, 60, 8)
    assert data.input_shape == (3, 8, 8)
    assert torch.bincount(data.train.labels).tolist() == [10] * 3
    assert torch.bincount(data.test.labels).tolist() == [20] * 3
    whole = cifar10(str(path), None, None, 8)
    first = np.load(path)["x_train"][0].astype(float)
    means = first.reshape(8, 2, 8, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(whole.train.read(torch.tensor([0]))[0].numpy() - means).max() <= 0.5
    assert len(cifar10(str(path), None, None, 16).train) == 120
    with pytest.raises(InputError, match="121 images were asked for; there are 120"):
        cifar10(str(path), 121, None, 8)


def test_the_recipe_is_the_benchmarks_with_all_images_and_its_crop_in_proportion() -> None:
    recipe = read_recipe("nasbench201_12")
    assert (recipe.epochs, recipe.batch_size, recipe.validation) == (12, 256, 0.0)
    assert with_crop(recipe, 32) == recipe
    assert with_crop(recipe, 16).augmentation.crop == 2


@pytest.mark.slow
def test_cells_are_spread_over_the_table_and_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    header = ["arch_str", "c10_test_12", "c10_test_200", "c10valid_val_200"]
    lines = [[str(cell), 50 + i, 60 + i, 0] for i, cell in enumerate(cells(30))]
    table = write_csv(tmp_path / "table.csv", header, lines)
    chosen = recipe_against_table.spread(
        read("nasbench201", path=str(table), test=["c10_test_200"]), 3
    )
    assert sorted(chosen) == [5, 15, 25]
    out = tmp_path / "out.csv"
    arguments = (
        *("--table", table, "--cifar10", images(tmp_path), "--cells", 3, "--stage-cells", 1),
        *("--channels", 2, "--size", 8, "--images", 60, "--out", out),
    )
    call(monkeypatch, recipe_against_table, *arguments)
    trained = rows(out)
    assert sorted(int(row["row"]) for row in trained) == [5, 15, 25]
    assert "3 cells ranked by" in capsys.readouterr().out
    # A run that was cut before its last cell trains that one alone, to the same accuracy.
    whole = out.read_text().splitlines(keepends=True)
    out.write_text("".join(whole[:-1]))
    call(monkeypatch, recipe_against_table, *arguments)
    again = rows(out)
    assert again[:-1] == trained[:-1]
    assert again[-1]["test_accuracy"] == trained[-1]["test_accuracy"]
    # Another size is another study in the same file.
    call(monkeypatch, recipe_against_table, *arguments, "--channels", 3)
    assert len(rows(out)) == 6


def test_the_comparison_with_the_table_is_rank_and_offset() -> None:
    truth = [50.0, 60.0, 70.0, 80.0]
    made = [
        {
            "row": str(i), "seed": str(seed), "c10_test_12": str(a), "c10_test_200": str(-a),
            "params": "1", "test_accuracy": str(a - 3 + 2 * seed), "seconds": "2",
        }
        for i, a in enumerate(truth)
        for seed in (0, 1)
    ]  # fmt: skip
    text = recipe_against_table.report(made)
    assert "| our accuracy | 1.00 [1.00, 1.00] | 1.00 |" in text
    assert "after 200 epochs | -1.00 [-1.00, -1.00] | -1.00 |" in text
    assert "table's: -2.00 points on average, standard deviation 0.00" in text


@pytest.mark.slow
def test_five_cells_are_trained_by_one_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    call(
        monkeypatch, found_against_published, "--cifar10", images(tmp_path), "--cells", 3,
        "--channels", 2, "--size", 8, "--images", 60, "--epochs", 1, "--seeds", 1, "--out", out,
    )  # fmt: skip
    trained = rows(out)
    names = ["found", "DARTS_V2", "random 1", "random 2", "random 3"]
    assert [row["name"] for row in trained] == names
    assert len({row["genotype"] for row in trained}) == 5
    shown = capsys.readouterr().out
    best = max(trained, key=lambda row: float(row["test_accuracy"]))
    assert shown.index(f"| {best['name']} |") == min(shown.index(f"| {n} |") for n in names)


def test_the_found_cells_lead_is_the_mean_of_its_leads_by_seed() -> None:
    accuracies = {
        "found": (71, 73),
        "DARTS_V2": (72, 70),
        "random 1": (60, 62),
        "random 2": (62, 64),
    }
    made = [
        {"name": name, "seed": str(s), "test_accuracy": str(a), "params": "9", "seconds": "1"}
        for name, values in accuracies.items()
        for s, a in enumerate(values)
    ]
    unfinished = [{**made[0], "seed": "2", "test_accuracy": "99"}]
    text = found_against_published.report(made + unfinished)
    assert "found cell less DARTS_V2: +1.00 +- 2.83 points, ahead with 1 of 2 seeds" in text
    assert "random cells: +10.00 +- 0.00 points, ahead with 2 of 2 seeds" in text
    assert "trained yet" in found_against_published.report(made[:-4])


def test_the_tables_of_the_page_are_those_of_the_files() -> None:
    page = training_report.PAGE.read_text()
    assert training_report.filled(page, RESULTS) == page, "run: python -m studies.training_report"
    assert page.split("<!-- recipe: begin -->\n")[1].startswith("Settings: stage cells ")


def test_other_settings_are_other_tables(tmp_path: Path) -> None:
    columns = recipe_against_table.COLUMNS
    made = [
        [i, "g", a, a, 1, 0, size, 16, 32, "all", "all", a - 1, 9]
        for size in (1, 5)
        for i, a in enumerate((50, 60, 70))
    ]
    write_csv(tmp_path / "recipe_against_table.csv", columns, made)
    marks = "<!-- recipe: begin -->\n<!-- recipe: end -->\nrest\n"
    page = training_report.filled(marks, tmp_path)
    for size in (1, 5):
        assert f"Settings: stage cells {size}, channels 16, size 32, images all" in page
    assert page.count("| our accuracy | 1.00 [1.00, 1.00] | 1.00 |") == 2
    assert page.endswith("<!-- recipe: end -->\nrest\n")


def test_forms_of_a_training_are_timed_without_their_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(
        monkeypatch, training_speed, "--cifar10", images(tmp_path), "--cells", 3, "--channels", 2,
        "--size", 8, "--images", 60, "--epochs", 2, "--forms", "fp32", "bf16, channels-last",
    )  # fmt: skip
    assert "| bf16, channels-last | " in capsys.readouterr().out

    def log(first: float, rest: float) -> list[Epoch]:
        return [Epoch(i, 0, 1, 0, 0, 0, 0, first + rest * (i - 1)) for i in (1, 2, 3)]

    text = training_speed.report({"fp32": log(9, 4), "bf16": log(30, 2)})
    assert "| bf16 | 2.00 [2.00, 2.00] | 2.00 | 30 | 1.000 |" in text
