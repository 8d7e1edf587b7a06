"""Which files of a folder are read as what, and that nothing is left out without a word."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_search.core.errors import InputError
from nas_search.data import ImageData
from nas_search.data.imagefolder import ImageFolderOptions, load_imagefolder
from nas_search.data.pictures import picture_suffixes

NOISE = np.random.default_rng(0)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(NOISE.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)


def pictures(root: Path, *folders: str, count: int = 2) -> Path:
    for folder in folders:
        for i in range(count):
            picture(root / folder / f"{i}.png")
    return root


def load(root: Path, **options: int) -> ImageData:
    return load_imagefolder(ImageFolderOptions(path=str(root), size=8, **options))  # type: ignore[arg-type]


def refusal(root: Path, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        load(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "validation", "Testing"),
    ],
)
def test_splits_have_their_usual_names_in_any_case(
    tmp_path: Path, train: str, validation: str, test: str
) -> None:
    pictures(tmp_path, f"{train}/a", f"{train}/b", count=4)
    pictures(tmp_path, f"{validation}/a", f"{validation}/b", count=3)
    pictures(tmp_path, f"{test}/a", f"{test}/b", count=1)
    data = load(tmp_path)
    assert data.class_names == ("a", "b")
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 6, 2)
    assert {path.parts[-3] for path in data.validation.files} == {validation}
    assert data.validation.images([0]).shape == (1, 3, 8, 8)
    assert f"validation: folder {validation}, test: folder {test}" in data.summary[1]
    assert "8 training, 6 validation, 2 test images" in data.summary[1]


def test_a_validation_folder_alone_is_tested_on_and_said(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a", "train/b", "valid/a", "valid/b")
    data = load(tmp_path)
    assert data.validation is None and {path.parts[-3] for path in data.test.files} == {"valid"}
    assert "test: folder valid, as there is no test part" in data.summary[1]


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path) -> None:
    pictures(tmp_path, "a", "b", count=5)
    picture(tmp_path / "a" / ".ipynb_checkpoints" / "0.png")
    picture(tmp_path / "a" / "deep" / ".thumbs" / "more" / "0.png")
    picture(tmp_path / "__MACOSX" / "a" / "0.png")
    picture(tmp_path / "b" / "._0.png")
    picture(tmp_path / "cover.png")
    (tmp_path / "a" / "x.heic.bak").write_text("")
    (tmp_path / "a" / "README").write_text("")
    (tmp_path / "a" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    data = load(tmp_path)
    assert data.class_names == ("a", "b")
    assert len(data.train) + len(data.test) == 10
    line = data.summary[0]
    assert "data: 10 of 19 files used; left out: 4 hidden, " in line
    for reason in (
        "1 .bak: no format that is read",
        "1 without ending: no format that is read",
        "1 outside class folders",
        "1 links that lead nowhere",
        "1 no regular files",
    ):
        assert reason in line
    assert line.endswith("; 2 classes in training: a 4, b 4")


@pytest.mark.filterwarnings("ignore:IM image format")
def test_every_format_that_pillow_writes_and_reads_is_used(tmp_path: Path) -> None:
    pictures(tmp_path, "b", count=3)
    plain = Image.fromarray(NOISE.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    (tmp_path / "a").mkdir()
    written = 0
    for suffix in sorted(picture_suffixes()):
        for mode in ("RGB", "1", "F"):
            path = tmp_path / "a" / f"{suffix[1:]}{suffix.upper()}"
            try:
                plain.convert(mode).save(path)
                written += 1
                break
            except (OSError, KeyError, ValueError):  # Pillow does not write this format or mode
                path.unlink(missing_ok=True)
    assert {".gif", ".jfif", ".jp2", ".tga", ".webp", ".ico"} <= picture_suffixes() and written > 25
    assert not {".h5", ".mpg", ".eps", ".pdf", ".txt"} & picture_suffixes()
    data = load(tmp_path)
    assert f"data: {written + 3} of {written + 3} files used;" in data.summary[0]
    for split in (data.train, data.test):
        split.images(range(len(split)))


def test_pictures_of_deeper_folders_belong_to_the_class(tmp_path: Path) -> None:
    pictures(tmp_path, "cat", "cat/kittens", "dog/puppies/small", "dog/old")
    data = load(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert len(data.train) + len(data.test) == 8


@pytest.mark.parametrize("part", [".", "train"])
def test_classes_inside_of_years_are_asked_about(tmp_path: Path, part: str) -> None:
    years = [f"{part}/{year}/{shape}" for year in (2023, 2024) for shape in ("circle", "star")]
    pictures(tmp_path, *years)
    message = refusal(tmp_path)
    assert "are 2023, 2024 the classes, or circle, star inside them? Set dataset.class_level=1" in (
        message
    )
    assert load(tmp_path, class_level=1).class_names == ("2023", "2024")
    merged = load(tmp_path, class_level=2)
    assert merged.class_names == ("circle", "star")
    assert len(merged.train) + len(merged.test) == 8
    for split in (merged.train, merged.test):
        shapes = [path.parts[-2] for path in split.files]
        assert [merged.class_names[label] for label in split.labels] == shapes
    assert "dataset.class_level=3 is not possible" in refusal(tmp_path, class_level=3)


def test_one_year_and_splits_inside_of_classes_are_asked_about(tmp_path: Path) -> None:
    pictures(tmp_path / "one", "2023/circle", "2023/star")
    assert "are 2023 the classes, or circle, star inside" in refusal(tmp_path / "one")
    pictures(tmp_path / "two", "cat/train", "cat/test", "dog/train", "dog/test")
    assert "are cat, dog the classes, or test, train inside" in refusal(tmp_path / "two")
    assert load(tmp_path / "two", class_level=1).class_names == ("cat", "dog")


@pytest.mark.parametrize("other", ["star", "STAR ", "stA\u0301r"])
def test_names_that_look_alike_are_refused(tmp_path: Path, other: str) -> None:
    name = "St\u00e1r" if "\u0301" in other else "Star"
    pictures(tmp_path, name, other, "circle")
    assert "which differ by case, spaces or the form of accents alone; merge" in refusal(tmp_path)


def test_parts_that_do_not_fit_are_refused_in_their_own_words(tmp_path: Path) -> None:
    def made(name: str, *folders: str) -> Path:
        return pictures(tmp_path / name, *folders)

    train = ("train/cat", "train/dog")
    lacking = made("lacking", *train, "test/cat")
    assert f"{lacking / 'test'} has no folder for the class 'dog'; add it" in refusal(lacking)
    empty = made("empty", *train, "test/cat")
    (empty / "test" / "dog").mkdir()
    assert f"{empty / 'test' / 'dog'} holds no image that is read" in refusal(empty)
    flat = made("flat", *train, "test")
    assert f"{flat / 'test'} has no class folders, so its images have no labels" in refusal(flat)
    named = made("named", *train, "test/cat", "test/Dog")
    assert "test/Dog: there is no class of this name among the training folders; rename it to" in (
        refusal(named)
    )
    two = made("two", *train, "Train/cat")
    assert "has the folders Train and train, which mean the same part" in refusal(two)
    orphan = made("orphan", "test/cat", "test/dog")
    assert "has a folder test, but no folder train; put the class folders" in refusal(orphan)
    vehicles = made("vehicles", "bus", "car", "train")
    assert "train has 0 class folders" in refusal(vehicles)
    assert "if train is itself a class, rename it" in refusal(vehicles)
    beside = made("beside", *train, "unsorted")
    assert "data: 4 of 6 files used; left out: 2 beside train;" in load(beside).summary[0]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    pictures(tmp_path / "store", "a", "b")
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "more").symlink_to(tmp_path / "store" / "a")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store" / "b")
    (tmp_path / "store" / "b" / "again").symlink_to(tmp_path / "store" / "b")
    data = load(tmp_path / "set")
    assert torch.bincount(data.train.labels).tolist() == [1, 1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, "a", "b")
    (tmp_path / "b").chmod(0)
    assert f"cannot list {tmp_path / 'b'} (Permission denied)" in refusal(tmp_path)


def test_many_classes_are_summed_up(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"c{i:02}" for i in range(13)), count=5)
    picture(tmp_path / "c00" / "more.png")
    assert load(tmp_path).summary[0].endswith("; 13 classes of 4 to 5 training images")


def test_options_are_said(tmp_path: Path) -> None:
    pictures(tmp_path, "a", "b", count=5)
    first, second = load(tmp_path).summary
    assert first == "data: 10 of 10 files used; 2 classes in training: a 4, b 4"
    assert second == (
        "read as 3 x 8 x 8 (shorter side scaled to 8, center cropped to 8 x 8; test: 20% of each "
        "class held out): 8 training, 2 test images"
    )
    options = ImageFolderOptions(path=str(tmp_path), size=16, fit="pad")
    assert "(longer side scaled to 16, padded to 16 x 16;" in load_imagefolder(options).summary[1]


def test_formats_of_pillow_s_plugins_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path, "a", "b", count=3)
    for path in tmp_path.rglob("2.png"):
        path.rename(path.with_suffix(".HEIC"))
    assert "left out: 2 .heic: no format that is read" in load(tmp_path).summary[0]
    Image.init()
    for registry in ("EXTENSION", "OPEN"):
        monkeypatch.setattr(Image, registry, dict(getattr(Image, registry)))
    Image.register_open("HEIF", Image.OPEN["PNG"][0], lambda prefix: False)
    Image.register_extension("HEIF", ".heic")
    assert load(tmp_path).summary[0].startswith("data: 6 of 6 files used; 2 classes")


def test_a_long_list_of_reasons_is_cut_and_odd_names_are_printable(tmp_path: Path) -> None:
    pictures(tmp_path, "a\nb", "c")
    for i in range(12):
        (tmp_path / "c" / f"notes.kind{i}").write_text("")
    (tmp_path / "c" / "odd.\udce4\n").write_text("")
    (tmp_path / "c" / "odd2.\udce4\n").write_text("")
    first, second = load(tmp_path).summary
    assert first.startswith(
        "data: 4 of 18 files used; left out: 2 .\\udce4 : no format that is read, 1 .kind0: no"
    )
    assert "no format that is read, 5 others; 2 classes in training: a b 1, c 1" in first
    assert "\n" not in first + second
    (first + second).encode()


def test_much_enlarged_pictures_are_said(tmp_path: Path) -> None:
    pictures(tmp_path, "a", "b", count=5)
    assert load_imagefolder(ImageFolderOptions(path=str(tmp_path), size=24)).notes == ()
    Image.fromarray(NOISE.integers(0, 256, (4, 40), dtype=np.uint8)).save(tmp_path / "a" / "0.png")
    (tmp_path / "a" / "1.png").rename(tmp_path / "a" / "1.tiff")
    assert load_imagefolder(ImageFolderOptions(path=str(tmp_path), size=24)).notes == (
        f"1 of 10 pictures looked at are enlarged more than 2 times; of {tmp_path / 'a' / '0.png'},"
        " 4 pixels become 24; a smaller dataset.size, 8 or more, may do",
    )
    padded = ImageFolderOptions(path=str(tmp_path), size=24, fit="pad")
    assert load_imagefolder(padded).notes == ()
