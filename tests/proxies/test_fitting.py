"""A score is refused on probe batches on which it would say nothing, and on no others."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nas_search.commands.settings import Settings, scoring_task
from nas_search.core.errors import InputError
from nas_search.data import DATASETS
from nas_search.proxies import PROXIES
from nas_search.scoring.score import score
from nas_search.spaces import SPACES


def batch(labels: list[int], size: int = 8) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(len(labels), 3, size, size), torch.tensor(labels)


UNFIT = {
    "gradalign": ([1, 1, 1], 8, "all are of one"),
    "epe_nas": ([0, 1, 2], 8, r"a batch size of 6 or more\) or fewer classes"),
    "zico": ([0, 1, 2], 8, "have none of two images"),
    "az_expressivity": ([0, 1, 0, 1], 10, r"10 x 10 images.*dataset\.size"),
    "az_progressivity": ([0, 1, 0, 1], 10, "multiples of 4"),
    "az_trainability": ([0, 1, 0, 1], 10, "multiples of 4"),
}


@pytest.mark.parametrize("name", PROXIES.names())
def test_an_ordinary_batch_suits_every_score(name: str) -> None:
    assert PROXIES.get(name).unfit(*batch([0, 1, 2, 0, 1, 2])) == ""


@pytest.mark.parametrize("name", UNFIT)
def test_what_says_nothing_is_told_with_what_to_change(name: str) -> None:
    labels, size, reason = UNFIT[name]
    assert PROXIES.get(name).unfit(*batch(labels, size)) != ""
    data = DATASETS.get("digits")
    space = SPACES.get("nasbench201").space()
    settings = Settings(batch_size=10, repeats=1)
    if "az" in name:
        options = data.options(size=10)
    else:
        options = data.options(size=8)
        settings = {
            "gradalign": Settings(batch_size=8, classes=1, repeats=1),
            "epe_nas": Settings(batch_size=3, classes=3, repeats=1),
            "zico": Settings(batch_size=3, repeats=1),
        }[name]
    with pytest.raises(InputError, match=f"^{name} says nothing on this probe batch: .*{reason}"):
        scoring_task(data.load(options), [name], settings, 0, space=space, macro={"cells": 1})


def test_the_same_is_the_reason_of_a_network_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    scores = score(network, *batch([0, 1, 2]), ["epe_nas", "grad_norm"])
    assert math.isnan(scores["epe_nas"])
    assert "every class has one image" in scores.reasons["epe_nas"]
    assert scores["grad_norm"] > 0
