"""Another form is chosen by one half of the architectures and judged by the other."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from studies import another_form
from studies.another_form import (
    DEFAULT,
    FIXED,
    LEAST,
    Place,
    Ranking,
    candidates,
    chosen_and_judged,
    named,
    on_all,
    read_ranking,
    read_timm,
    scores_of,
    shown,
    shown_all,
)
from studies.forms import GRID
from studies.halves import half

PARTS = {"nasbench201": ("nasbench201",), "darts": ("full_600",), "timm": ()}
FORM, DEPTH, COST = RIGHT = (list(GRID)[7], 0.375, 0.25)


def rows_of(rng: np.random.Generator, count: int, right: bool) -> list[dict[str, str]]:
    """Return scores that are noise, but for the right form's, and accuracies as ``accuracy``."""
    rows = []
    for number in range(count):
        accuracy, depth, macs = rng.uniform(1, 99), rng.uniform(1, 50), rng.uniform(1, 1e6)
        row = {name: rng.random() for name in (*GRID, *FIXED)} | {"depth": depth, "flops": macs}
        if right:
            row[FORM] = accuracy / depth**DEPTH / macs**COST
        rows.append(
            {"genotype": f"cell {number}", "accuracy": str(accuracy)}
            | {name: str(value) for name, value in row.items()}
        )
    return rows


def made(right: bool, count: int = 60) -> dict[str, Place]:
    rng = np.random.default_rng(0)
    places: dict[str, Place] = {}
    for name in (*PARTS, "flexibert"):
        rows = rows_of(rng, count, right)
        accuracies = {"accuracy": np.array([float(row["accuracy"]) for row in rows])}
        ranking = Ranking(name, tuple(row["genotype"] for row in rows), accuracies, scores_of(rows))
        places[name] = (ranking,)
    return places


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few resamples, places and powers."""
    monkeypatch.setattr(another_form, "DRAWS", 20)
    monkeypatch.setattr(another_form, "PARTS", PARTS)
    monkeypatch.setattr(another_form, "RULES", {"rule": tuple(PARTS), "cells": ("darts",)})
    monkeypatch.setattr(another_form, "DEPTHS", (0.0, DEPTH))
    monkeypatch.setattr(another_form, "COSTS", (0.0, COST))


def test_the_right_form_is_chosen_and_ahead_everywhere() -> None:
    rows = list(chosen_and_judged(made(right=True)))
    judged = [row for row in rows if row["half"] == "heldout" and row["who"] == "rule"]
    assert {row["place"] for row in judged} == {*PARTS, "flexibert", "mean"}
    for row in judged:
        assert float(row["ahead_low"]) > 0
        if row["place"] != "mean":
            assert row["form"] == named(RIGHT) and row["tau"] == "1.000"
    (for_cells,) = (
        row
        for row in rows
        if row["place"] == "darts" and row["who"] == "cells" and row["half"] == "heldout"
    )
    assert for_cells["form"] == named(RIGHT)
    sizes = {row["place"]: row["n"] for row in judged}
    heldout = sum(half(f"cell {number}") == "heldout" for number in range(60))
    assert sizes["darts"] == str(heldout)
    by_second = sum(half(f"cell {number}", 1) == "heldout" for number in range(60))
    assert sizes["timm"] == str(by_second) != str(heldout)
    assert f"`{named(RIGHT)}`" in shown(rows)


def test_what_is_chosen_among_noise_is_ahead_only_where_it_was_chosen() -> None:
    rows = list(chosen_and_judged(made(right=False, count=40)))
    own = [row for row in rows if row["who"] == "own" and row["place"] in PARTS]
    chosen = [float(row["tau"]) for row in own if row["half"] == "development"]
    judged = [float(row["tau"]) for row in own if row["half"] == "heldout"]
    assert min(chosen) > 0.2 and abs(np.mean(judged)) < 0.15
    (mean,) = (row for row in rows if row["place"] == "mean" and row["who"] == "rule")
    assert float(mean["ahead_low"]) < 0 < float(mean["ahead_high"])
    assert all(float(row["ahead"]) == 0 for row in rows if row["who"] == DEFAULT)


def test_losses_count_by_their_negatives_and_failures_are_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(np.random.default_rng(0), 4, right=False)
    for number, row in enumerate(rows):
        row |= {"test_loss": str(number), "status": "ok", "reason": "", "seed": "0", "seconds": "1"}
    rows[2][DEFAULT] = ""
    file = tmp_path / "scores.csv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setitem(another_form.ACCURACIES, "cells", ("accuracy", "test_loss"))
    ranking = read_ranking("cells", file)
    assert set(ranking.accuracies) == {"accuracy", "test_loss"}
    assert ranking.accuracies["test_loss"].tolist() == [0, -1, -2, -3]
    default = ranking.scores[len(candidates()) + FIXED.index(DEFAULT)]
    found = [row for row in on_all({"place": (ranking,)}) if row["who"] == DEFAULT]
    assert [(row["place"], row["column"], row["n"]) for row in found] == [
        ("cells", "accuracy", "4"),
        ("cells", "test_loss", "4"),
    ]
    assert float(found[1]["tau"]) == pytest.approx(
        kendalltau(default, [0, -1, -2, -3])[0], abs=1e-3
    )
    assert found[1]["tau"] in shown_all(found)[1:].replace("| ", "| 0").replace("0-.", "-0.")
    assert default.argmin() == 2 and np.isfinite(np.delete(default, 2)).all()


def test_a_recipe_with_too_few_models_is_left_out(tmp_path: Path) -> None:
    models = {"large": [f"m{i}" for i in range(40)], "small": [f"s{i}" for i in range(LEAST)]}
    with (tmp_path / "table.csv").open("w") as file:
        file.write("recipe,model,imagenet_top1\n")
        for recipe, names in models.items():
            file.writelines(f"{recipe},{name},{70 + i}\n" for i, name in enumerate(names))
    with (tmp_path / "scores.csv").open("w") as file:
        file.write("model,proxy,score\n")
        for name in (*models["large"], *models["small"]):
            file.writelines(f"{name},{proxy},{len(name)}\n" for proxy in (*GRID, *FIXED))
    (ranking,) = read_timm(tmp_path / "scores.csv", tmp_path / "table.csv")
    assert list(ranking.accuracies) == ["large"] and len(ranking.keys) == 40
