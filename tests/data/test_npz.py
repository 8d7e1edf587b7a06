"""dataset=npz: the layouts it reads, and errors that name unusable arrays."""

import pickle
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


def load(path: Path, **options: float) -> ImageData:
    return load_npz(NpzOptions(path=str(path), **options))  # type: ignore[arg-type]


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
        ({"x_train": np.full((40, 8, 8), np.nan)}, "image 0 holds NaN or infinite pixels; remove"),
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


def test_npz_is_registered() -> None:
    record = DATASETS.get("npz")
    assert record.load is load_npz
    assert record.options is NpzOptions
