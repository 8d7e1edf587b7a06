"""The study of few pictures: its data, its plain network, its table, and its smallest row."""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.reduced import default_recipe
from studies import small_data, small_images


@pytest.mark.parametrize("kind", ["shapes", "patterns", "digits"])
def test_kinds_have_as_many_pictures_of_every_class_and_other_test_images(kind: str) -> None:
    make = small_images.kinds(None)[kind]
    data, again, other = make(3, 0), make(3, 0), make(3, 1)
    assert data.input_shape == (3, small_images.SIZE, small_images.SIZE)
    assert torch.bincount(data.train.labels).tolist() == [3] * data.num_classes
    rows = torch.arange(len(data.train))
    assert torch.equal(data.train.read(rows), again.train.read(rows))
    assert not torch.equal(data.train.read(rows), other.train.read(rows))
    pictures = {data.train.read(row[None]).numpy().tobytes() for row in rows}
    tests = torch.arange(len(data.test))
    assert len(tests) >= 50 * data.num_classes
    assert not pictures & {data.test.read(row[None]).numpy().tobytes() for row in tests}


def test_fashion_mnist_is_read_where_debian_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        labels = np.arange(40, dtype=np.uint8) % 10
        pixels = rng.integers(0, 256, (40, 28, 28)).astype(np.uint8)
        pixels[:, :14] = labels[:, None, None] * 20
        for what, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (tmp_path / f"{part}-{what}-ubyte.gz").write_bytes(
                gzip.compress(head + array.tobytes())
            )
    monkeypatch.setattr(small_images, "FASHION", tmp_path)
    data = small_images.kinds(None)["fashion_mnist"](2, 0)
    assert len(data.train) == 20
    top = data.train.read(torch.arange(20))[:, 0, 0, 0]
    assert torch.equal(top, (data.train.labels * 20).byte())


def test_plain_network_has_three_convolutions_and_about_24_000_parameters() -> None:
    network = small_data.plain_network(4)
    assert 23_000 < sum(p.numel() for p in network.parameters()) < 25_000
    assert sum(isinstance(m, torch.nn.Conv2d) for m in network.modules()) == 3


def test_lead_is_the_mean_over_seeds_with_both_networks() -> None:
    values = {("finalist", 0): 70, ("plain", 0): 60, ("finalist", 1): 50, ("plain", 1): 52}
    rows = [
        {
            **{"kind": "shapes", "count": "20", "network": network, "seed": str(seed)},
            "test_accuracy": str(value),
        }
        for (network, seed), value in values.items()
    ]
    unfinished = {**rows[0], "seed": "2", "test_accuracy": "99"}
    text = small_data.report([*rows, unfinished])
    assert "| shapes | 20 | 60.0 +- 14.1 | 56.0 +- 5.7 | +4.0 | 1 of 2 |" in text


def test_trainings_that_are_done_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in small_data.NETWORKS:
        monkeypatch.setattr(small_data, name, lambda *_, n=name: (9, 50.0 + len(n), 0.1))
    out = tmp_path / "out.csv"
    arguments = ["study", "--kinds", "digits", "--counts", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--seeds", "1"])
    small_data.main()
    first = out.read_text()
    monkeypatch.setattr(sys, "argv", [*arguments, "--seeds", "2"])
    small_data.main()
    assert out.read_text().startswith(first)
    with out.open(newline="") as file:
        done = [(row["network"], row["seed"]) for row in csv.DictReader(file)]
    assert done == [(n, s) for s in "01" for n in small_data.NETWORKS]


@pytest.mark.slow
def test_finalist_is_as_good_as_the_plain_network_on_the_fewest_pictures() -> None:
    """The smallest row of the table in docs/training.md: 20 drawn shapes per class."""
    data = small_images.kinds(None)["shapes"](20, 0)
    recipe = default_recipe("fast")
    _, ours, _ = small_data.finalist(data, recipe, 0)
    _, theirs, _ = small_data.plain(data, recipe, 0)
    assert ours > 40  # by chance 25
    assert ours >= theirs
