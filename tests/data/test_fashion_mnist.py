"""dataset=fashion_mnist: idx files, packed or not, wherever they lie."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.data import fashion_mnist
from nas_search.data.fashion_mnist import DEBIAN, FILES, FashionMnistOptions, load_fashion_mnist

RNG = np.random.default_rng(0)
IMAGES = {"train": 30, "test": 20}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, packed: bool) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    written = {}
    for part, names in FILES.items():
        images = RNG.integers(0, 256, (IMAGES[part], 28, 28), dtype=np.uint8)
        labels = (np.arange(IMAGES[part]) % 10).astype(np.uint8)
        for name, array in zip(names, (images, labels), strict=True):
            data = idx(array)
            file = folder / (f"{name}.gz" if packed else name)
            file.write_bytes(gzip.compress(data) if packed else data)
        written[part] = images
    return written


@pytest.mark.parametrize(
    ("place", "packed"), [("", True), ("", False), ("FashionMNIST/raw", False)]
)
def test_idx_files_are_read_where_they_lie(tmp_path: Path, place: str, packed: bool) -> None:
    written = write(tmp_path / "files" / place, packed)
    data = load_fashion_mnist(FashionMnistOptions(root=str(tmp_path / "files")))
    assert data.input_shape == (1, 28, 28) and data.num_classes == 10
    assert data.class_names[0] == "T-shirt/top" and data.class_names[9] == "Ankle boot"
    for part, split in (("train", data.train), ("test", data.test)):
        assert len(split) == IMAGES[part]
        assert np.array_equal(split.read(torch.arange(len(split))).numpy()[:, 0], written[part])
        assert split.labels.tolist() == [i % 10 for i in range(IMAGES[part])]


def test_debian_s_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "debian", packed=True)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    data = load_fashion_mnist(FashionMnistOptions(root=str(tmp_path / "empty")))
    assert str(tmp_path / "debian") in data.train.origin
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("packed", [True, False])
def test_damaged_files_are_named(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "files"
    write(folder, packed)
    name = FILES["train"][0] + (".gz" if packed else "")
    whole = (folder / name).read_bytes()
    for damaged in (
        b"",
        b"<html>404</html>",
        whole[: len(whole) // 2],
        b"\0\0\x08\x01" + whole[4:],
    ):
        (folder / name).write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"(cannot read .*train-images.*anew|images have shape)"
        ):
            load_fashion_mnist(FashionMnistOptions(root=str(folder)))


def test_no_files_and_no_network_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr("torchvision.datasets.FashionMNIST.__init__", refused)
    with pytest.raises(
        InputError, match=r"cannot get fashion_mnist \(no route to host\); put its"
    ) as c:
        load_fashion_mnist(FashionMnistOptions(root=str(tmp_path)))
    assert "dataset-fashion-mnist" in str(c.value) and "\n" not in str(c.value)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_images_have_the_published_statistics() -> None:
    data = load_fashion_mnist(FashionMnistOptions(root="/nowhere"))
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert torch.bincount(data.train.labels).tolist() == [6000] * 10
    assert data.mean[0] == pytest.approx(0.2860, abs=0.005)
    assert data.std[0] == pytest.approx(0.3530, abs=0.005)
