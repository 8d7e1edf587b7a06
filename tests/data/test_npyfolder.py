"""dataset=npyfolder: arrays in files of their own, sorted into folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.data import ImageData
from nas_search.data.npyfolder import NpyFolderOptions, load_npyfolder

RNG = np.random.default_rng(0)


def arrays(folder: Path, *shape: int, kind: type = np.float32) -> dict[str, np.ndarray]:
    written: dict[str, np.ndarray] = {}
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(5):
            array: np.ndarray = (100 * RNG.random(shape)).astype(kind)
            np.save(folder / name / f"{i}.npy", array)
            written[f"{name}/{i}.npy"] = array
    return written


def load(folder: Path, **options: object) -> ImageData:
    return load_npyfolder(NpyFolderOptions(path=str(folder), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "kind", "options", "read", "axes", "said"),
    [
        ((9, 12), np.float32, {}, (1, 9, 12), None, "gray arrays (n, H, W), as stored"),
        ((9, 12, 3), np.uint8, {}, (3, 9, 12), (2, 0, 1), "arrays (n, H, W, C), as stored"),
        ((2, 9, 12), np.float64, {}, (2, 9, 12), (0, 1, 2), "arrays (n, C, H, W), as stored"),
        ((9, 9, 9), np.uint8, {"layout": "nhwc"}, (9, 9, 9), (2, 0, 1), "arrays (n, H, W, C)"),
        ((2, 30), np.float32, {"layout": "ncl"}, (2, 8, 30), None, "repeated in 8 rows"),
    ],
)
def test_arrays_are_read_as_they_are(
    tmp_path: Path,
    shape: tuple[int, ...],
    kind: type,
    options: dict[str, str],
    read: tuple[int, ...],
    axes: tuple[int, ...] | None,
    said: str,
) -> None:
    written = arrays(tmp_path, *shape, kind=kind)
    (tmp_path / "a" / "notes.txt").write_text("")
    data = load(tmp_path, **options)
    assert data.input_shape == read
    assert (len(data.train), len(data.test)) == (8, 2)
    pixels = data.train.read(torch.arange(8))
    assert pixels.dtype == (torch.uint8 if kind is np.uint8 else torch.float32)
    for image, file in zip(pixels.numpy(), data.train.files, strict=True):
        stored = written[f"{file.parent.name}/{file.name}"]
        expected = stored if axes is None else stored.transpose(axes)
        if options.get("layout") == "ncl":
            expected = expected[:, None].repeat(8, 1)
        assert np.allclose(image, expected.reshape(read))
    assert f"({said}" in data.summary[1] or said in data.summary[1]
    assert data.summary[0].startswith("data: 10 of 11 files used; left out: 1 .txt: no format that")


def test_arrays_of_other_shapes_need_a_size(tmp_path: Path) -> None:
    arrays(tmp_path, 9, 12)
    np.save(tmp_path / "b" / "0.npy", np.float32(RNG.random((20, 12))))
    with pytest.raises(InputError, match=r"b/0.npy is float32 of shape \(20, 12\), others are flo"):
        load(tmp_path).train.images(range(8))
        load(tmp_path).test.images(range(2))
    data = load(tmp_path, size=16)
    assert data.train.images(range(8)).shape == (8, 1, 16, 16)
    assert "shorter side scaled to 16" in data.summary[1]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((9, 12), np.int64), r"0.npy is int64 of shape \(9, 12\), others are float32"),
        (np.array([None]), r"cannot read .*0.npy \(.*\); replace or remove it"),
    ],
)
def test_other_arrays_are_refused_by_name(tmp_path: Path, bad: np.ndarray, message: str) -> None:
    arrays(tmp_path, 9, 12)
    np.save(tmp_path / "b" / "0.npy", bad)
    with pytest.raises(InputError, match=message) as caught:
        data = load(tmp_path)
        data.test.images(range(2))
    assert "\n" not in str(caught.value)


def test_small_arrays_damaged_files_and_no_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a folder; add dataset.path=FOLDER"):
        load_npyfolder(NpyFolderOptions())
    arrays(tmp_path / "small", 4, 4)
    with pytest.raises(InputError, match="holds images of 4 x 4, and networks halve them"):
        load(tmp_path / "small")
    assert load(tmp_path / "small", size=8).input_shape == (1, 8, 8)
    arrays(tmp_path / "cut", 9, 12)
    file = tmp_path / "cut" / "a" / "0.npy"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cannot read .*a/0.npy"):
        load(tmp_path / "cut")
