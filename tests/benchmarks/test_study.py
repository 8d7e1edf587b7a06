"""The study's figures follow from its scores, and its scores are those of the package today."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from benchmarks.halves import half
from nas_search.data import DATASETS, probe_batch
from nas_search.scoring import ScoringTask
from nas_search.spaces import SPACES

STUDY = Path(__file__).parents[2] / "docs" / "study"
PINNED = ["development", "heldout", "development", "development", "heldout", "heldout"]


def rows(name: str) -> list[dict[str, str]]:
    with (STUDY / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_of_the_held_out_table_follows_from_the_scores() -> None:
    found = rows("full_600_by_architecture.csv")
    draws = [key for key in found[0] if key.startswith("gradalign_")]
    assert len(draws) >= 3
    assert all(half(row["genotype"]) == "heldout" for row in found)
    scores = [np.mean([float(row[draw]) for draw in draws]) for row in found]
    accuracies = [float(row["c10_acc"]) for row in found]
    (row,) = (row for row in rows("full_600_scores.csv") if row["proxy"] == "gradalign")
    assert int(row["n"]) == len(found) > 50
    assert float(row["tau"]) == pytest.approx(kendalltau(scores, accuracies).statistic, abs=1e-4)
    assert float(row["rho"]) == pytest.approx(spearmanr(scores, accuracies).statistic, abs=1e-4)
    page = (STUDY.parent / "study.md").read_text()
    (line,) = (
        x
        for x in page.splitlines()
        if x.startswith("| full_600 | c10_acc | ") and "`gradalign`" in x
    )
    assert f"{float(row['rho']):.3f}".removeprefix("0") in line


def test_its_scores_are_those_of_the_package(shared_data: Path, tmp_path: Path) -> None:
    script = shared_data / "unpack_cifar10.py"
    if not (shared_data / "cifar10" / "train_0.webp").is_file():
        pytest.skip(f"the real CIFAR-10 images are not at {shared_data}")
    arrays = tmp_path / "cifar10.npz"
    subprocess.run([sys.executable, str(script), str(arrays)], check=True)
    record, space = DATASETS.get("npz"), SPACES.get("darts").space()
    data = record.load(record.options(path=str(arrays)))
    for seed in (0, 2):
        images, labels = probe_batch(data, 64, None, seed)
        macro = {"cells": 8, "channels": 16}
        task = ScoringTask(space, macro, images, labels, 10, ("gradalign",), seed=seed)
        for row in rows("full_600_by_architecture.csv")[:2]:
            scored = task.evaluate(space.parse(row["genotype"]))
            assert scored.status == "ok"
            expected = float(row[f"gradalign_{seed}"])
            assert scored.scores["gradalign"] == pytest.approx(expected, rel=1e-3)


def test_the_halves_are_halves_and_never_change() -> None:
    texts = [f"cell {number}" for number in range(2000)]
    share = np.mean([half(text) == "heldout" for text in texts])
    assert 0.45 < share < 0.55
    assert [half(text) for text in texts[:6]] == PINNED
