"""dataset=npz: the layouts it reads, and errors that name unusable arrays."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.data import DATASETS, ImageData, probe_batch
from nas_search.data.npz import NpzOptions, load_npz, read_npz

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 4
HWC = RNG.integers(0, 256, (40, 10, 8, 3), dtype=np.uint8)


def load(path: Path, **options: Any) -> ImageData:
    return load_npz(NpzOptions(path=str(path), **options))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (HWC, (3, 10, 8)),
        (HWC.transpose(0, 3, 1, 2), (3, 10, 8)),
        (np.asfortranarray(HWC), (3, 10, 8)),
        (HWC[..., 0], (1, 10, 8)),
        (HWC[..., :1], (1, 10, 8)),
    ],
)
def test_all_layouts_give_the_same_pixels(
    tmp_path: Path, save: Callable[..., None], images: np.ndarray, shape: tuple[int, int, int]
) -> None:
    path = tmp_path / "a.npz"
    save(path, x_train=images, y_train=LABELS, x_test=images, y_test=LABELS)
    data = load(path)
    assert data.input_shape == shape
    assert data.class_names == ("0", "1", "2", "3")
    raw = data.test.read(torch.tensor([5, 2]))
    assert raw.dtype == torch.uint8
    expected = HWC[[5, 2]].transpose(0, 3, 1, 2)[:, : shape[0]]
    assert np.array_equal(raw.numpy(), expected)
    assert data.train.labels.tolist() == LABELS.tolist()


def test_normalized_images_have_mean_0_and_std_1(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=HWC, y_train=LABELS, x_test=HWC, y_test=LABELS)
    data = load(tmp_path / "a.npz")
    images = data.train.images(range(40))
    assert images.dtype == torch.float32
    assert torch.allclose(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert data.mean == pytest.approx((HWC / 255).mean((0, 1, 2)))


def test_float_pixels_are_not_scaled_and_constant_channels_stay_finite(tmp_path: Path) -> None:
    images = RNG.normal(100.0, 7.0, (40, 8, 8, 2))
    images[..., 1] = 5.0
    np.savez(tmp_path / "a.npz", x_train=images, y_train=LABELS)
    data = load(tmp_path / "a.npz")
    assert data.mean == pytest.approx((100.0, 5.0), abs=1.0)
    assert data.std[1] == 1.0
    assert torch.isfinite(data.train.images([0, 1])).all()
    assert data.train.read(torch.tensor([0])).dtype == torch.float32


def test_uncompressed_arrays_are_mapped_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=HWC, y_train=LABELS)
    assert all(isinstance(array, np.memmap) for array in read_npz(tmp_path / "a.npz").values())


def test_stratified_part_is_held_out_if_there_is_no_test_part(tmp_path: Path) -> None:
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1).repeat(8, 1).repeat(8, 2)
    images[:, 7, 7] = 99
    np.savez(tmp_path / "a.npz", x_train=images, y_train=LABELS)
    data = load(tmp_path / "a.npz", holdout=0.3)
    assert torch.bincount(data.test.labels).tolist() == [3, 3, 3, 3]
    assert torch.bincount(data.train.labels).tolist() == [7, 7, 7, 7]
    train = data.train.read(torch.arange(28))[:, 0, 0, 0].long()
    test = data.test.read(torch.arange(12))[:, 0, 0, 0].long()
    assert sorted(torch.cat([train, test]).tolist()) == list(range(40))
    assert torch.equal(train % 4, data.train.labels)
    again = load(tmp_path / "a.npz", holdout=0.3).test.read(torch.arange(12))
    assert torch.equal(again[:, 0, 0, 0].long(), test)
    other = load(tmp_path / "a.npz", holdout=0.3, holdout_seed=1).test.read(torch.arange(12))
    assert not torch.equal(other[:, 0, 0, 0].long(), test)


def test_data_can_be_pickled_for_workers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=HWC, y_train=LABELS)
    data = load(tmp_path / "a.npz")
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(probe_batch(copy, 8)[0], probe_batch(data, 8)[0])


GOOD = {"x_train": HWC, "y_train": LABELS, "x_test": HWC, "y_test": LABELS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": None}, r"has no array 'x_train' \(it has x_test, y_test, y_train\); save x_"),
        ({"y_test": None}, "has no array 'y_test' .* save x_test and y_test with np.savez"),
        ({"y_train": LABELS[:9]}, "x_train has 40 images but y_train has 9 labels; give one label"),
        ({"y_train": LABELS[:, None]}, r"y_train: labels have shape \(40, 1\), expected \(n,\)"),
        ({"y_train": LABELS * 1.0}, r"labels are float64, expected integers 0..C-1; convert with"),
        ({"y_train": LABELS - 1}, "y_train: labels must be 0..C-1, found -1; renumber them"),
        ({"y_train": LABELS + 1}, "class 0 of 0..4 has no image; renumber the labels 0..C-1"),
        ({"y_train": LABELS * 2}, "class 1 of 0..6 has no image; renumber"),
        ({"y_train": LABELS * 0}, "all images have label 0; at least 2 classes are needed"),
        ({"y_test": LABELS + 1}, "y_test: label 4 is not among the 4 training classes 0..3"),
        ({"x_train": HWC.astype(np.int64)}, "x_train: pixels are int64; save them as uint8"),
        ({"x_train": HWC[:, 0, 0]}, r"x_train has shape \(40, 3\); expected \(n, H, W\), \(n, H"),
        ({"x_train": HWC[:, :0]}, r"x_train has shape \(40, 0, 8, 3\); expected"),
        ({"x_train": HWC[:, :3]}, r"\(40, 3, 8, 3\), whose channel axis is ambiguous"),
        ({"x_train": HWC[:0], "y_train": LABELS[:0]}, "y_train: there are no images; give"),
        ({"x_test": HWC[:, :9]}, "hold images of different shapes; save both with the same"),
        ({"x_train": np.full((40, 8, 8), np.nan)}, "holds NaN, infinite or too large pixels"),
        ({"y_train": np.array([None] * 40)}, "cannot read .* write it again with np.savez"),
    ],
)  # fmt: skip
def test_errors_name_unusable_arrays(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    arrays: dict[str, Any] = {key: a for key, a in (GOOD | change).items() if a is not None}
    if "x_train" in change and "x_test" not in change:
        arrays.pop("x_test", None)
        arrays.pop("y_test", None)
        if change["x_train"] is None:
            arrays |= {"x_test": HWC, "y_test": LABELS}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)
    assert "a.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdout": 0.0}, "dataset.holdout=0.0 is not between 0 and 1; try 0.2"),
        ({"holdout_seed": -1}, "dataset.holdout_seed=-1 is negative; use 0 or more"),
    ],
)
def test_bad_holdout_options_are_refused(
    tmp_path: Path, options: dict[str, float], message: str
) -> None:
    np.savez(tmp_path / "a.npz", x_train=HWC, y_train=LABELS)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "a.npz", **options)


def test_missing_path_and_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset=npz needs a file; add dataset.path=FILE.npz"):
        load_npz(NpzOptions())
    for path in (tmp_path / "no.npz", tmp_path):
        with pytest.raises(InputError, match=r"there is no file .*; check dataset.path"):
            load(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("damage", ["not a zip", "truncated", "overwritten"])
def test_damaged_files_are_refused(tmp_path: Path, save: Callable[..., None], damage: str) -> None:
    path = tmp_path / "a.npz"
    save(path, x_train=HWC, y_train=LABELS)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "not a zip": b"hello",
            "truncated": whole[: len(whole) // 2],
            "overwritten": whole[:20] + b"\xff" * 200 + whole[220:],
        }[damage]
    )
    with pytest.raises(InputError, match=r"cannot read .*a.npz \(.*\); write it again") as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_is_noticed(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "whole.npz", x_train=HWC, y_train=LABELS)
    whole = (tmp_path / "whole.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "whole.npz") as archive:
        start = archive.getinfo("x_train.npy").header_offset + 200
        size = archive.getinfo("x_train.npy").compress_size - 200
    rng = np.random.default_rng(1)
    for at in start + rng.integers(size, size=40):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.integers(8)
        (tmp_path / "a.npz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"cannot read .*a.npz \(.*\); write it again"):
            load(tmp_path / "a.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_damage_is_an_input_error_or_harmless(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    save(tmp_path / "whole.npz", x_train=HWC, y_train=LABELS)
    whole = (tmp_path / "whole.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        # Headers: the first bytes and the directory at the end.
        at = int(rng.choice([rng.integers(200), len(whole) - 1 - rng.integers(200)]))
        damaged[at : at + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            load(tmp_path / "a.npz")
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 75


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "layout", "read", "said"),
    [
        (
            (9, 9, 200),
            "auto",
            (200, 9, 9),
            "arrays (n, H, W, C) (if not, set dataset.layout), as stored",
        ),
        (
            (200, 9, 9),
            "auto",
            (200, 9, 9),
            "arrays (n, C, H, W) (if not, set dataset.layout), as stored",
        ),
        ((12, 3, 30), "nchw", (12, 3, 30), ""),
        ((3, 12, 30), "auto", (3, 12, 30), "arrays (n, C, H, W), as stored"),
        ((12, 30, 3), "auto", (3, 12, 30), "arrays (n, H, W, C), as stored"),
        ((9, 9, 200), "nchw", (9, 9, 200), "arrays (n, C, H, W), as stored"),
        (
            (9, 20, 30),
            "auto",
            (9, 20, 30),
            "arrays (n, C, H, W) (if not, set dataset.layout), as stored",
        ),
        ((9, 20, 30), "nhwc", (30, 9, 20), "arrays (n, H, W, C), as stored"),
        ((16, 16, 16), "nhwc", (16, 16, 16), "arrays (n, H, W, C), as stored"),
        ((12, 30), "auto", (1, 12, 30), "gray arrays (n, H, W), as stored"),
        ((2, 30), "ncl", (2, 8, 30), "series (n, channels, length), repeated in 8 rows"),
    ],
)
def test_the_layout_decides_which_axis_is_the_channels(
    tmp_path: Path, shape: tuple[int, ...], layout: str, read: tuple[int, ...], said: str
) -> None:
    images, labels = noise(*shape), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    if not said:
        with pytest.raises(InputError, match="holds images of 3 x 30, and networks halve them"):
            load(tmp_path / "a.npz", layout=layout)
        return
    data = load(tmp_path / "a.npz", layout=layout)
    assert data.input_shape == read
    assert f"({said}; test: x_test)" in data.summary[1]
    pixels = data.train.read(torch.arange(20)).numpy()
    last = layout == "nhwc" or said.startswith("arrays (n, H, W, C)")
    if layout == "ncl":
        images = images[:, :, None].repeat(8, axis=2)
    assert np.array_equal(
        pixels, images.transpose(0, 3, 1, 2) if last else images.reshape(20, *read)
    )


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((16, 16, 16), "auto", "ambiguous; set dataset.layout=nhwc if the channels are last"),
        ((16, 16), "nhwc", r"\(20, 16, 16\); expected \(n, H, W, C\) for dataset.layout=nhwc"),
        ((16, 16, 3), "ncl", r"expected \(n, channels, length\) for dataset.layout=ncl"),
        ((4, 4), "auto", "holds images of 4 x 4, and networks halve them several times, so 8 is"),
        ((4, 4, 3), "nhwc", "enlarge them with dataset.size=8"),
        ((3, 128), "auto", r"set dataset.layout=ncl if these are series \(n, channels, length\)"),
        ((3, 5), "ncl", "holds series of length 5, .* so 8 is the least; give longer ones"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_their_layout_are_refused(
    tmp_path: Path, shape: tuple[int, ...], layout: str, message: str
) -> None:
    np.savez(tmp_path / "a.npz", x_train=noise(*shape), y_train=np.arange(20) % 2)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "a.npz", layout=layout)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_stored_images_are_fitted_where_a_size_is_given(tmp_path: Path, kind: type) -> None:
    images: np.ndarray = np.zeros((20, 4, 8, 1), kind)
    images[:, :, 2:6] = 200  # the middle half is bright
    images[::2, 0, 0] = 9
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.arange(20) % 2)
    crop, pad, stretch = (
        load(tmp_path / "a.npz", size=16, fit=fit).train.read(torch.arange(1, 2))[0, 0]
        for fit in ("crop", "pad", "stretch")
    )
    assert crop.shape == pad.shape == stretch.shape == (16, 16)
    assert {str(part.dtype) for part in (crop, pad, stretch)} == {f"torch.{kind.__name__}"}
    assert (crop[:, 4:12] == 200).all() and crop[8, 0] > 50
    assert (pad[:4] == 0).all() and (pad[12:] == 0).all() and pad[8, 8] == 200 and pad[8, 0] == 0
    assert (stretch[:, 0] == 0).all() and (stretch[:, 8] == 200).all()
    with pytest.raises(InputError, match="dataset.size=4 is too small for images; use 8 or more"):
        load(tmp_path / "a.npz", size=4)
    with pytest.raises(InputError, match="dataset.rows=0 must be 1 or more"):
        load(tmp_path / "a.npz", rows=0)
    with pytest.raises(InputError, match="dataset.size is for images; leave it out with"):
        load(tmp_path / "a.npz", size=16, layout="ncl")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_arrays_are_a_part_and_other_arrays_are_named(tmp_path: Path, name: str) -> None:
    own: dict[str, Any] = {f"x_{name}": HWC[:8], f"y_{name}": LABELS[:8]}
    np.savez(tmp_path / "b.npz", x_train=HWC, y_train=LABELS, **own)
    alone = load(tmp_path / "b.npz")
    assert alone.validation is None and (len(alone.train), len(alone.test)) == (40, 8)
    assert f"test: x_{name}, as there is no test part" in alone.summary[1]
    own |= {"x_test": HWC[8:20], "y_test": LABELS[8:20]}
    np.savez(tmp_path / "a.npz", x_train=HWC, y_train=LABELS, ids=LABELS, **own)
    data = load(tmp_path / "a.npz")
    assert data.validation is not None and np.array_equal(
        data.validation.read(torch.arange(8)).numpy(), HWC[:8].transpose(0, 3, 1, 2)
    )
    assert data.summary[0].startswith("data: 60 images; arrays not read: ids; 4 classes")
    assert "40 training, 8 validation, 12 test images" in data.summary[1]


def test_a_home_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError("uid")))
    for name, key in (("npz", "path"), ("imagefolder", "path"), ("cifar10", "root")):
        record = DATASETS.get(name)
        with pytest.raises(InputError, match=rf"dataset.{key}=~/a: there is no home folder for ~"):
            record.load(record.options(**{key: "~/a"}))


def test_npz_is_registered() -> None:
    record = DATASETS.get("npz")
    assert record.load is load_npz
    assert record.options is NpzOptions
