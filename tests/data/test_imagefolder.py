"""dataset=imagefolder: the user's images, decoded on demand."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_search.core.errors import InputError
from nas_search.data import probe_batch
from nas_search.data.fit import Fit
from nas_search.data.imagefolder import ImageFolderOptions, load_imagefolder
from nas_search.data.pictures import read_image


def write_pictures(folder: Path, count: int, color: tuple[int, int, int]) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        suffix = (".png", ".JPG", ".bmp")[i % 3]
        picture = Image.new("RGB", (20 + i, 30), color)
        picture.paste((255, 255, 255), (8, 12, 11, 15))  # a picture of one color is no data
        picture.save(folder / f"{i}{suffix}")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "cat", 10, (200, 0, 0))
    write_pictures(tmp_path / "dog", 20, (0, 0, 200))
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / ".cache").mkdir()
    return tmp_path


def options(path: Path, size: int = 16) -> ImageFolderOptions:
    return ImageFolderOptions(path=str(path), size=size)


def test_classes_shapes_and_holdout_follow_the_folders(pets: Path) -> None:
    data = load_imagefolder(options(pets))
    assert data.class_names == ("cat", "dog")
    assert data.input_shape == (3, 16, 16)
    assert torch.bincount(data.train.labels).tolist() == [8, 16]
    assert torch.bincount(data.test.labels).tolist() == [2, 4]
    raw = data.test.read(torch.arange(6))
    assert raw.dtype == torch.uint8
    assert ((raw[:, 0, 0, 0] > 150) == (data.test.labels == 0)).all()


@pytest.mark.parametrize("held", ["test", "val"])
def test_train_and_test_folders_are_the_splits(tmp_path: Path, held: str) -> None:
    for part, count in (("train", 4), (held, 2)):
        for name in ("cat", "dog"):
            write_pictures(tmp_path / part / name, count, (90, 90, 90))
    data = load_imagefolder(options(tmp_path))
    assert (len(data.train), len(data.test)) == (8, 4)


def test_train_folder_alone_is_split(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        write_pictures(tmp_path / "train" / name, 5, (90, 90, 90))
    data = load_imagefolder(options(tmp_path))
    assert (len(data.train), len(data.test)) == (8, 2)


def test_shorter_side_is_resized_and_the_center_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    square = read_image(tmp_path / "wide.png", Fit(10))
    assert square.shape == (10, 10, 3)
    assert (square[:, 1:-1] == 255).all()
    assert (square > 200).all()  # the border's filter reaches a little into the black


def test_only_requested_images_are_decoded(pets: Path) -> None:
    data = load_imagefolder(options(pets))
    for path in (pets / "dog").iterdir():
        path.write_bytes(b"broken after listing")
    cats = torch.nonzero(data.train.labels == 0).flatten()
    assert data.train.images(cats).shape == (8, 3, 16, 16)
    with pytest.raises(InputError, match=r"cannot decode .*dog.*; replace or remove it"):
        probe_batch(data, 4)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        *product((".png", ".jpg", ".bmp", ".webp", ".tiff"), ("text", "truncated", "empty")),
        (".png", "overwritten"),  # the one format with checksums
    ],
)
def test_error_names_a_broken_image(pets: Path, suffix: str, damage: str) -> None:
    path = pets / "cat" / f"bad{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(
        {
            "text": b"<html>404</html>",
            "truncated": whole[:half],
            "empty": b"",
            "overwritten": whole[:half] + bytes(64) + whole[half + 64 :],
        }[damage]
    )
    with pytest.raises(InputError, match=r"cannot decode .*bad.*; replace or remove it") as caught:
        data = load_imagefolder(options(pets))
        data.test.images(range(len(data.test)))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_bad_folders_are_refused(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")

    def message(choice: ImageFolderOptions) -> str:
        with pytest.raises(InputError) as caught:
            load_imagefolder(choice)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "needs a folder; add dataset.path=FOLDER" in message(ImageFolderOptions())
    assert "there is no folder" in message(options(pets / "no"))
    assert "has 0 class folders; put the images of each class" in message(options(empty))
    assert "has 0 class folders" in message(options(pets / "cat"))
    assert "dataset.size=4 is too small for images; use 8 or more" in message(options(pets, 4))
    (pets / "fish").mkdir()
    assert "fish holds no image that is read" in message(options(pets))


def test_unknown_class_in_the_test_folder_is_refused(tmp_path: Path) -> None:
    for folder in ("train/cat", "train/dog", "test/cat", "test/dog", "test/fish"):
        write_pictures(tmp_path / folder, 2, (90, 90, 90))
    with pytest.raises(InputError, match=r"test/fish: there is no class of this name .* rename or"):
        load_imagefolder(options(tmp_path))
