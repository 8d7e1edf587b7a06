"""Spectral capacity: its integral, random matrices, shapes of layers, figures as published."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kendalltau
from torch import nn

import nas_search
from nas_search.passes.weight_shapes import shapes_of
from nas_search.proxies.nsc import capacity

SIZES = st.integers(1, 5000)


def by_integral(rows: int, columns: int) -> float:
    """Return the integral over the law of Marchenko and Pastur."""
    low, high = sorted((rows, columns))
    ratio, power = low / high, 2 * high / (rows + columns)
    ends = [(1 + sign * math.sqrt(ratio)) ** 2 for sign in (-1, 1)]

    def at(angle: float) -> float:  # x = middle - half cos(angle): both ends are smooth then
        middle, half = sum(ends) / 2, (ends[1] - ends[0]) / 2
        x = middle - half * math.cos(angle)
        return math.log1p(power * x) * (half * math.sin(angle)) ** 2 / (2 * math.pi * ratio * x)

    return low * float(quad(at, 1e-9, math.pi, limit=200)[0])


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(SIZES, SIZES)
def test_capacity_is_its_integral(rows: int, columns: int) -> None:
    assert capacity(rows, columns) == pytest.approx(by_integral(rows, columns), rel=1e-5)
    assert capacity(rows, columns) == capacity(columns, rows)


def test_capacity_of_two_published_shapes() -> None:
    assert capacity(2000, 2000) == pytest.approx(1161, abs=0.5)
    assert capacity(4000, 1000) == pytest.approx(909, abs=0.5)


def test_random_matrices_have_it() -> None:
    rng = np.random.default_rng(0)
    for rows, columns in ((200, 200), (300, 60)):
        weights = rng.normal(0, math.sqrt(2 / (rows + columns)), (rows, columns))
        own = np.linalg.slogdet(np.eye(columns) + weights.T @ weights)[1]
        assert own == pytest.approx(capacity(rows, columns), rel=0.01)


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (nn.Linear(3, 5), ((5, 3, 1),)),
        (nn.Conv2d(6, 8, (3, 5), groups=2), ((4, 45, 2),)),
        (nn.Conv1d(6, 6, 3, groups=6), ((1, 3, 6),)),
        (nn.ConvTranspose2d(4, 6, 2), ((4, 24, 1),)),
        (nn.MultiheadAttention(8, 2, kdim=5), ((4, 8, 2), (4, 5, 2), (4, 8, 2))),
        (nn.Embedding(9, 4), ()),
        (nn.BatchNorm2d(4), ()),
    ],
)
def test_shapes_of_layers(module: nn.Module, shapes: tuple[tuple[int, int, int], ...]) -> None:
    assert shapes_of(module) == shapes


def test_heads_of_attention_count_each_and_its_output_once() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(24, 3))
    scores = nas_search.score(network, torch.randn(4, 3, 8), torch.arange(4) % 3, ["nsc"])
    expected = 6 * capacity(4, 8) + capacity(8, 8) + 2 * capacity(8, 16) + capacity(3, 24)
    assert scores["nsc"] == pytest.approx(expected)


def test_the_authors_reading_of_flexibert_reaches_their_figure(shared_data: Path) -> None:
    # Published: tau .695 on all 500; this is the half in ../shared/data. Their code takes merged
    # queries, keys and values, two matrices for a transform, one for a convolution, and a
    # feed-forward of K layers for K of a Kth of the width.
    scores, glue = [], []
    with (shared_data / "flexibert.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            hidden, total = int(row["hidden_size"]), 0.0
            for kind, _, _, width, stack in json.loads(row["encoder_layers"]):
                mixing = {"SA": [3 * hidden, hidden], "LT": [hidden, hidden], "DSC": [hidden]}[kind]
                total += sum(capacity(rows, hidden) for rows in mixing)
                total += 2 * stack * capacity(width // stack, hidden)
            scores.append(total)
            glue.append(float(row["glue"]))
    assert kendalltau(scores, glue)[0] == pytest.approx(0.695, abs=0.03)
