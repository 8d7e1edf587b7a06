"""dataset=cifar10 and cifar100, without a network; the real images if they are available."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets

from nas_search.core.errors import InputError
from nas_search.data import DATASETS, probe_batch
from nas_search.data.cifar import CIFAR10_STATISTICS, CifarOptions
from nas_search.data.npz import NpzOptions, load_npz


class FakeCifar:
    """A stand-in for torchvision's class: the same attributes, 20 images per class."""

    base_folder = "cifar-10-batches-py"
    num_classes = 10

    def __init__(self, root: str, train: bool, download: bool) -> None:
        assert download
        self.root = root
        count = 20 * self.num_classes if train else self.num_classes
        self.data = np.random.default_rng(train).integers(0, 256, (count, 32, 32, 3), np.uint8)
        self.targets = [i % self.num_classes for i in range(count)]
        self.classes = [f"class {i}" for i in range(self.num_classes)]


class FakeCifar100(FakeCifar):
    base_folder = "cifar-100-python"
    num_classes = 100


@pytest.mark.parametrize(
    ("name", "attribute", "fake"),
    [("cifar10", "CIFAR10", FakeCifar), ("cifar100", "CIFAR100", FakeCifar100)],
)
def test_torchvision_arrays_become_splits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, attribute: str, fake: Any
) -> None:
    monkeypatch.setattr(torchvision.datasets, attribute, fake)
    record = DATASETS.get(name)
    data = record.load(record.options(root=str(tmp_path)))
    assert data.name == name
    assert data.num_classes == fake.num_classes
    assert data.class_names[3] == "class 3"
    assert data.input_shape == (3, 32, 32)
    source = fake(str(tmp_path), train=True, download=True).data
    assert np.array_equal(
        data.train.read(torch.tensor([7])).numpy()[0].transpose(1, 2, 0), source[7]
    )
    images, labels = probe_batch(data, 2 * fake.num_classes)
    assert images.shape == (2 * fake.num_classes, 3, 32, 32)
    assert torch.bincount(labels).tolist() == [2] * fake.num_classes
    expected = (source[7] / 255 - np.array(data.mean)) / np.array(data.std)
    assert np.allclose(data.train.images([7])[0].permute(1, 2, 0), expected, atol=1e-5)


def test_statistics_are_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", FakeCifar)
    data = DATASETS.get("cifar10").load(CifarOptions())
    assert (data.mean, data.std) == CIFAR10_STATISTICS


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (URLError("no\nnetwork"), "no network"),
        (TimeoutError("timed out"), "timed out"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (RuntimeError("File not found or corrupted."), "corrupted"),
        (EOFError(), "EOFError"),
    ],
)
def test_error_without_network_names_the_alternatives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, reason: str
) -> None:
    def fail(self: Any) -> None:
        raise error

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", fail)
    before = socket.getdefaulttimeout()
    with pytest.raises(InputError) as caught:
        DATASETS.get("cifar10").load(CifarOptions(root=str(tmp_path)))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "cannot get cifar10 (", reason, "put torchvision's cifar-10-batches-py into",
        str(tmp_path), "dataset=npz dataset.path=FILE.npz", "dataset=digits",
    ):  # fmt: skip
        assert part in message
    assert socket.getdefaulttimeout() == before


def test_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    roots: list[str] = []

    class Recorder(FakeCifar):
        def __init__(self, root: str, train: bool, download: bool) -> None:
            super().__init__(root, train, download)
            roots.append(root)

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Recorder)
    DATASETS.get("cifar10").load(CifarOptions())
    assert roots == [str(tmp_path / ".cache" / "nas_search")] * 2


def test_real_cifar10_has_the_published_statistics(shared_data: Path, tmp_path: Path) -> None:
    script = shared_data / "unpack_cifar10.py"
    if not (shared_data / "cifar10" / "train_0.webp").is_file():
        pytest.skip(f"the CIFAR-10 images are not in {shared_data}")
    path = tmp_path / "cifar10.npz"
    command = [sys.executable, str(script), str(path), "--train-parts", "1"]
    subprocess.run(command, check=True, capture_output=True)
    data = load_npz(NpzOptions(path=str(path)))
    assert (len(data.train), len(data.test), data.num_classes) == (10_000, 10_000, 10)
    assert data.input_shape == (3, 32, 32)
    # From 4,096 of 10,000 images: the sampling error of a channel mean is about .003.
    assert data.mean == pytest.approx(CIFAR10_STATISTICS[0], abs=0.01)
    assert data.std == pytest.approx(CIFAR10_STATISTICS[1], abs=0.01)
    images, labels = probe_batch(data, 64, seed=1)
    assert sorted(torch.bincount(labels).tolist()) == [6] * 6 + [7] * 4
    assert images.abs().max() < 4
