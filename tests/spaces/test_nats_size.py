"""NATS-Bench size: its members, and the networks that it shares with NAS-Bench-201."""

import csv
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas_search.core.errors import InputError
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space
from nas_search.spaces.nats_size import NatsSizeGenotype, NatsSizeSpace
from nas_search.spaces.nats_size.network import CELL, NatsSizeCell

SPACE, CELLS = NatsSizeSpace(), Nasbench201Space()
TOPOLOGY = Nasbench201Genotype(CELL)
PROBLEM = ((3, 32, 32), 10)


def test_there_are_32768_sizes() -> None:
    every = [NatsSizeGenotype(row) for row in itertools.product(*SPACE.positions)]
    assert SPACE.size == len({str(one) for one in every}) == 32768
    assert all(SPACE.parse(str(one)) == one for one in every[::97])


def test_the_cell_is_the_best_of_cifar100(shared_data: Path) -> None:
    with (shared_data / "nasbench201.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["c100_test_200"]))
    assert rows[0]["arch_str"] == str(TOPOLOGY)


def test_doubled_widths_are_the_network_of_nasbench201() -> None:
    size = SPACE.parse("16:32:32:64:64")
    shared: dict[str, Any] = {"cells": 1, "channels": 16}
    assert SPACE.cost(size, *PROBLEM) == CELLS.cost(TOPOLOGY, *PROBLEM, **shared)
    ours, theirs = SPACE.build(size, *PROBLEM).eval(), CELLS.build(TOPOLOGY, *PROBLEM, **shared)
    state = {
        name.replace("_nor_conv_3x3", ""): value for name, value in theirs.state_dict().items()
    }
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs.eval()(images))


def test_a_skip_is_a_convolution_where_the_width_changes() -> None:
    cell = NatsSizeCell(8, 24)
    skip = cell.get_submodule("node3_from0")
    assert [type(m) for m in skip.children()] == [nn.Conv2d, nn.BatchNorm2d]  # without ReLU
    assert isinstance(NatsSizeCell(8, 8).get_submodule("node3_from0"), nn.Identity)
    assert cell(torch.randn(2, 8, 6, 7)).shape == (2, 24, 6, 7)
    by_hand = 8 * 24 * 9 * 2 + 24 * 24 * 9 * 3 + 8 * 24 + 6 * 2 * 24
    assert sum(p.numel() for p in cell.parameters()) == by_hand


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8:8:8:8", "five widths joined by ':', got 4"),
        ("8:8:8:8:7", "width 5: '7' is impossible; possible: 8, 16"),
        ("8:72:8:8:8", "width 2: '72' is impossible"),
    ],
)
def test_other_sizes_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.parse(text)


def test_a_skeleton_without_sizes_says_so() -> None:
    with pytest.raises(InputError, match="'channels'; possible: none, this skeleton has no sizes"):
        SPACE.build(SPACE.parse("8:8:8:8:8"), *PROBLEM, channels=4)
