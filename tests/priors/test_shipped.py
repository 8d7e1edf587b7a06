"""The priors in the package: small, sound, with cards, and as good as the cards say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.priors import shipped_path, shipped_prior
from nas_search.priors.held_out import judged
from nas_search.priors.shipped import FOLDER, shipped_names
from nas_search.spaces import SPACES
from studies.halves import half


def test_every_space_with_a_table_has_a_prior_below_a_megabyte() -> None:
    assert shipped_names() == [
        *("darts", "flexibert", "nas_bench_macro", "nasbench101", "nasbench201"),
        *("transnas_macro", "transnas_micro"),
    ]
    assert all(file.stat().st_size < 10**6 for file in FOLDER.iterdir())
    with pytest.raises(InputError, match=f"only of {', '.join(shipped_names())}"):
        shipped_path("mine")


@pytest.mark.parametrize("name", shipped_names())
def test_the_cards_say_what_they_must(name: str) -> None:
    prior = shipped_prior(SPACES.get(name).space())
    card = prior.card
    assert card["fitted_on"] and card["does_not_hold"]
    least = {"flexibert": 240}  # its table has 241 models
    assert sum(card["trainings"].values()) > least.get(name, 300)
    for figure in card["held_out"]:
        assert 0.7 < figure["pairs_low"] < figure["pairs"] < figure["pairs_high"] < 1 or (
            "other protocols" in figure["how"]
        )
    assert prior.references["gradalign"].spread > 0
    assert prior.scores == ()


def test_darts_cells_that_no_fitting_saw_are_ordered(shared_data: Path) -> None:
    space = SPACES.get("darts").space()
    with (shared_data / "darts_full600_curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["also_in_darts_trained"] == "0"]
    cells = [space.parse(row["genotype"]) for row in rows]
    sizes = {"cells": 8, "channels": 16, "auxiliary": False}
    params = np.array([space.cost(one, (3, 32, 32), 10, **sizes).params for one in cells], float)
    accuracy = np.array([float(row["c10_acc"]) for row in rows])
    predicted, _ = shipped_prior(space).predict(cells)
    figure = judged("full_600", "never seen", predicted, accuracy, params)
    assert figure.n == 112
    assert figure.pairs > 0.78 and figure.tau > 0.5


def test_nasbench201_cells_of_the_other_half_are_ordered(shared_data: Path) -> None:
    space = SPACES.get("nasbench201").space()
    with (shared_data / "nasbench201.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if half(row["arch_str"]) == "heldout"][:600]
    cells = [space.parse(row["arch_str"]) for row in rows]
    params = np.array([space.cost(one, (3, 32, 32), 10).params for one in cells], float)
    predicted, _ = shipped_prior(space).predict(cells)
    accuracy = np.array([float(row["c10_test_200"]) for row in rows])
    assert judged("c10", "other half", predicted, accuracy, params).pairs > 0.86
