"""What a look at the data finds: values, copies, broken and constant images, unequal classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_search.core.errors import InputError
from nas_search.data import DATASETS
from nas_search.data.inspection import Inspection, find_parts, inspect_parts, label_samples
from nas_search.data.npz import NpzOptions

RNG = np.random.default_rng(0)


def picture(path: Path, low: int = 0, high: int = 256) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(low, high, (12, 16, 3), dtype=np.uint8)).save(path)
    return path


def look(name: str, limit: int = 1000, **options: object) -> Inspection:
    record = DATASETS.get(name)
    return inspect_parts(find_parts(record, record.options(**options)), limit)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("test", 2)):
        for name in ("a", "b"):
            for i in range(count):
                picture(tmp_path / part / name / f"{i}.png")
    return tmp_path


def test_clean_data_has_facts_and_no_notes(folder: Path) -> None:
    found = look("imagefolder", path=str(folder), size=8)
    assert found.notes == [] and found.broken == [] and not found.blank
    assert found.input_shape == (3, 8, 8)
    assert found.facts[0] == "data: 12 of 12 files used; 2 classes in training: a 4, b 4"
    assert found.facts[2].startswith("files: PNG RGB 12 (format, mode); sizes from 16 x 12 to 16")
    assert found.facts[3].startswith("8 of 8 training images read: 8-bit values ")
    assert found.facts[4].startswith("4 of 4 test images read: 8-bit values ")


def test_copies_in_two_parts_and_with_two_labels_are_found(folder: Path) -> None:
    whole = (folder / "train" / "a" / "0.png").read_bytes()
    (folder / "test" / "a" / "copy.png").write_bytes(whole)
    (folder / "train" / "b" / "again.png").write_bytes(whole)
    (folder / "train" / "a" / "again.png").write_bytes(whole)
    notes = look("imagefolder", path=str(folder), size=8).notes
    shared, doubtful, again = notes
    assert shared.startswith("training images that are in another part too (accuracies will be")
    assert str(folder / "train" / "a" / "0.png") in shared
    assert str(folder / "test" / "a" / "copy.png") in shared
    assert (
        doubtful.startswith("images with two labels (keep one): 1, ")
        and "train/b/again.png" in doubtful
    )
    assert again == "training images that are copies of other training images: 2"


def test_copies_of_array_rows_are_found(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (20, 9, 9), dtype=np.uint8)
    labels = np.arange(20) % 2
    images[7] = images[3]
    np.savez(
        tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images[4:6], y_test=labels[4:6]
    )
    notes = look("npz", path=str(tmp_path / "a.npz")).notes
    assert "remove the copies): 2, " in notes[0]
    assert "x_train row 4 = " in notes[0] and "x_test row 0" in notes[0]
    assert notes[1] == "training images that are copies of other training images: 1"


def test_broken_images_are_all_named_and_the_others_read(folder: Path) -> None:
    (folder / "train" / "a" / "1.png").write_bytes(b"no picture")
    (folder / "test" / "b" / "0.png").write_bytes(b"")
    found = look("imagefolder", path=str(folder), size=8)
    assert len(found.broken) == 2 and "; of those used 2 cannot be read" in found.facts[0]
    assert "train/a/1.png" in found.broken[0] and "test/b/0.png" in found.broken[1]
    assert "7 of 8 training images read" in found.facts[3]
    assert len(label_samples(found.parts.train, 0, 8)) == 3
    for path in (folder / "train").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no training image can be read: cannot decode"):
        look("imagefolder", path=str(folder), size=8)


def test_nan_in_arrays_is_found(tmp_path: Path) -> None:
    images = RNG.normal(size=(20, 9, 9))
    images[5, 0, 0] = np.nan
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.arange(20) % 2, holdout=0)
    found = look("npz", path=str(tmp_path / "a.npz"))
    assert len(found.broken) == 1  # and called by its number in the file, whichever part it is in
    assert "a.npz x_train: image 5 holds NaN, infinite or too large pixels" in found.broken[0]
    assert "float values -" in "".join(found.facts)


@pytest.mark.filterwarnings("error")
def test_numbers_that_single_precision_has_not_are_not_called_infinite(tmp_path: Path) -> None:
    series = RNG.normal(size=(20, 2, 9))
    series[5, 0, 0], series[7] = 1e39, 3.0
    labels = np.arange(20) % 2
    np.savez(
        tmp_path / "a.npz", x_train=series, y_train=labels, x_test=series[8:], y_test=labels[8:]
    )
    found = look("npz", path=str(tmp_path / "a.npz"), layout="ncl")
    (line,) = found.broken
    assert line.endswith(
        "x_train: series 5 holds NaN, infinite or too large values (beyond 3.4e38, where single "
        "precision ends); remove it, or repair or scale the data"
    )
    constant, shared = found.notes
    assert constant.startswith("training series that are constant: 1, ")
    assert shared.startswith("training series that are in another part too")


def test_series_are_called_series(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=RNG.normal(size=(20, 2, 9)), y_train=np.arange(20) % 2)
    found = look("npz", path=str(tmp_path / "a.npz"), layout="ncl")
    told = " ".join([*found.facts, *found.notes])
    assert "20 series" in found.facts[0] and "16 training, 4 test series" in found.facts[1]
    assert "16 of 16 training series read" in told
    assert "image" not in told and "pixel" not in told
    np.savez(tmp_path / "b.npz", x_train=np.ones((9, 2, 9), np.int64), y_train=np.arange(9) % 2)
    with pytest.raises(InputError, match="x_train: values are int64; save them as"):
        look("npz", path=str(tmp_path / "b.npz"), layout="ncl")
    np.savez(tmp_path / "b.npz", x_train=np.ones((9, 2, 9)), y_train=np.arange(9) % 2)
    with pytest.raises(InputError, match="x_train: every series is constant, so there is nothing"):
        DATASETS.get("npz").load(NpzOptions(path=str(tmp_path / "b.npz"), layout="ncl"))


def test_constant_and_nearly_black_images_are_found(folder: Path) -> None:
    Image.new("RGB", (9, 9), "white").save(folder / "train" / "a" / "0.png")
    (note,) = look("imagefolder", path=str(folder), size=8).notes
    assert note.startswith("training images of one color throughout: 1, ") and "a/0.png" in note
    for path in (folder / "train").rglob("*.png"):
        picture(path, 0, 16)
    (note,) = look("imagefolder", path=str(folder), size=8).notes
    assert note.startswith("all values lie between") and "(10 or 12 in 16)" in note
    for path in (folder / "train").rglob("*.png"):
        Image.new("RGB", (9, 9), "white").save(path)
    assert look("imagefolder", path=str(folder), size=8).blank


def test_unequal_classes_are_found(folder: Path) -> None:
    for i in range(8):
        picture(folder / "train" / "b" / f"more{i}.png")
    (note,) = look("imagefolder", path=str(folder), size=8).notes
    assert note == "unequal classes: a has 4 training images, b has 12"


def test_at_most_the_asked_number_of_images_is_read(folder: Path) -> None:
    found = look("imagefolder", limit=3, path=str(folder), size=8)
    assert "3 of 8 training images read" in found.facts[3]
    assert "3 of 4 test images read" in found.facts[4]


def test_a_data_set_without_a_finder_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DATASETS.get("digits").find is None
    found = look("digits", limit=50, size=8)
    assert found.input_shape == (3, 8, 8) and len(found.parts.class_names) == 10
    assert "enlarged to 8 x 8" in found.facts[1]
