"""What ``predict`` of an exported folder takes, and that pictures are read as in training."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas_search.data import DATASETS, ImageData
from nas_search.export.model_file import preparation_of
from nas_search.export.predicting import Preparation, read_pictures
from nas_search.export.standalone import write_folder
from tests.training.made import architecture, recipe, stripes_data


def saved(folder: Path) -> dict[str, Path]:
    """Write one picture per mode, of 40 x 28 pixels; half of them is one class."""
    rng = np.random.default_rng(0)
    color = rng.integers(0, 255, (28, 40, 3)).astype(np.uint8)
    rgb = Image.fromarray(color)
    deep = (color[..., 0].astype(np.uint16) * 257).astype(np.uint16)
    clear = np.dstack([color, (color[..., 0] > 120).astype(np.uint8) * 255])
    turned = Image.Exif()
    turned[0x0112] = 6
    pictures: dict[str, Callable[[Path], None]] = {
        "rgb.png": rgb.save,
        "photo.jpg": rgb.save,
        "turned.jpg": lambda path: rgb.save(path, exif=turned),
        "cmyk.jpg": rgb.convert("CMYK").save,
        "gray.png": rgb.convert("L").save,
        "palette.png": rgb.convert("P").save,
        "clear.png": Image.fromarray(clear).save,
        "deep.png": Image.fromarray(deep).save,
    }
    paths = {}
    for number, (name, save) in enumerate(pictures.items()):
        paths[name] = folder / ("one" if number % 2 else "two") / name
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        save(paths[name])
    return paths


def imported(folder: Path) -> Any:
    """Return ``model.py`` of a folder as a module."""
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported_model"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    del sys.modules["exported_model"]
    return module


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def data(pictures: dict[str, Path]) -> ImageData:
    record = DATASETS.get("imagefolder")
    folder = next(iter(pictures.values())).parents[1]
    return record.load(record.options(path=str(folder), size=12, background="orange"))


@pytest.fixture(scope="module")
def model(data: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = architecture("nasbench201", data)
    folder = tmp_path_factory.mktemp("folder")
    torch.manual_seed(0)
    write_folder(folder, made.build().eval(), made, data, asdict(recipe()), "1.2.3")
    return imported(folder)


def test_files_of_every_mode_are_read_as_in_training(data: ImageData, model: Any) -> None:
    for split in (data.train, data.test):
        rows = torch.arange(len(split))
        assert torch.equal(model.read(list(split.files)), split.raw(rows))
        # Sums of other order: the training's statistics have more digits.
        torch.testing.assert_close(model.prepare(list(split.files)), split.images(rows))


def ways(path: Path) -> dict[str, Any]:
    """Return all ways to give one picture."""
    picture = Image.open(path)
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    return {
        "text": str(path),
        "path": path,
        "open file": path.open("rb"),
        "bytes": io.BytesIO(path.read_bytes()),
        "picture": picture,
        "array": array,
        "array of one": array[None],
        "view": array[::-1].copy()[::-1],
        "floats": array / 255,
        "array with channels first": array.transpose(2, 0, 1),
        "tensor": tensor,
        "tensor of one": tensor[None],
        "floating tensor": tensor.double() / 255,
        "tensor with channels last": tensor.permute(1, 2, 0),
        "list": [path],
        "tuple": (array,),
        "generator": (one for one in [path]),
        "opaque": np.dstack([array, np.full(array.shape[:2], 255, np.uint8)]),
    }


@pytest.mark.filterwarnings("error::UserWarning")
def test_one_picture_is_the_same_however_it_is_given(pictures: dict[str, Path], model: Any) -> None:
    path = pictures["rgb.png"]
    expected = model.read(path)
    assert expected.shape == (1, 3, 12, 12) and expected.dtype == torch.uint8
    for way, given in ways(path).items():
        assert torch.equal(model.read(given), expected), way
    gray = Image.open(pictures["gray.png"])
    for given in (gray, np.asarray(gray), np.asarray(gray)[..., None]):
        assert torch.equal(model.read(given), model.read(pictures["gray.png"]))
    assert torch.equal(
        model.read(np.asarray(gray) > 120), model.read((np.asarray(gray) > 120) * np.uint8(255))
    )


def test_answers_are_in_order_with_all_probabilities(
    pictures: dict[str, Path], data: ImageData, model: Any
) -> None:
    network = model.load().train()
    paths = list(pictures.values())
    mixed = [paths[0], Image.open(paths[1]), [paths[2], paths[3]], *map(str, paths[4:])]
    answers = model.predict(network, mixed)
    with torch.no_grad():
        expected = model.load()(model.prepare(paths)).softmax(1)
    assert [a.probabilities[name] for a in answers for name in data.class_names] == pytest.approx(
        expected.flatten().tolist(), abs=1e-5
    )
    for answer, row in zip(answers, expected, strict=True):
        assert answer.name == data.class_names[int(row.argmax())]
        assert answer.probability == max(answer.probabilities.values())
        assert next(iter(answer.probabilities)) == answer.name
    assert network.training and network.stem.training  # as it was
    many = model.predict(network, torch.zeros(131, 3, 12, 12, dtype=torch.uint8))
    assert len(many) == 131  # more than one batch


def test_wrong_inputs_end_in_one_line(pictures: dict[str, Path], model: Any) -> None:
    path = pictures["rgb.png"]
    broken = path.with_name("broken.jpg")
    broken.write_bytes(b"no picture")
    network = model.load()
    for given, message in (
        ("nowhere.jpg", "there is no file nowhere.jpg"),
        (path.parent, "is a folder; give the files in it as a list"),
        (broken, "cannot decode .*broken.jpg"),
        ([], "no pictures"),
        ([path, 3], "int is no kind of picture; give a path"),
        (None, "NoneType is no kind"),
        ({"a": 1}, "dict is no kind"),
        (
            np.zeros((5, 28, 28), np.uint8),
            r"an array of shape \(5, 28, 28\).*\(n, height, width, 3",
        ),
        (torch.zeros(2, 7, 9, 9), r"a tensor of shape \(2, 7, 9, 9\).*\(n, 3, height, width"),
        (np.zeros(9, np.uint8), r"shape \(9,\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.full((9, 9, 3), 255, np.int64), "int64 from 255 to 255; give uint8 from 0 to 255"),
        (np.full((9, 9, 3), 999, np.uint16), "uint16 from 999 to 999"),
        (np.full((9, 9, 3), 200.0), "float64 from 200 to 200"),
        (np.full((9, 9, 3), np.nan), "float64 from nan"),
        (np.array(["a"]), "cannot read the array"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            model.predict(network, given)
        assert "\n" not in str(caught.value)


def test_model_run_as_a_program(
    pictures: dict[str, Path], model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    network = model.load()
    given = [str(pictures["rgb.png"]), str(pictures["gray.png"])]
    assert model.print_classes(lambda files: model.predict(network, files), given) == 0
    shown = capsys.readouterr().out.splitlines()
    for line, file, answer in zip(shown, given, model.predict(network, given), strict=True):
        assert line == f"{file}: {answer.name} ({answer.probability:.0%})"
    assert model.print_classes(lambda files: model.predict(network, files), ["nowhere"]) == 2
    assert capsys.readouterr().err == "there is no file nowhere\n"
    assert model.print_classes(None, []) == 2
    assert "usage" in capsys.readouterr().err


def test_without_pillow_only_pictures_are_refused(
    pictures: dict[str, Path], model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "Image", None)
    assert model.read(torch.zeros(2, 3, 12, 12, dtype=torch.uint8)).shape == (2, 3, 12, 12)
    with pytest.raises(ValueError, match="pip install pillow"):
        model.read(pictures["rgb.png"])


def test_networks_of_arrays_take_what_they_were_trained_on(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    how = preparation_of(data)
    assert not how.files and how.eight_bit
    raw = data.train.raw(torch.arange(3))
    assert torch.equal(read_pictures(raw.permute(0, 2, 3, 1).numpy(), how), raw)
    floats = dataclasses.replace(how, eight_bit=False)
    assert torch.equal(read_pictures(raw.float() * 7, floats), raw.float() * 7)
    for given, message in (
        (raw, "uint8; the network takes finite floats"),
        (torch.full((3, 8, 8), torch.inf), "the pixels are float32, some NaN, infinite or beyond"),
        (np.full((8, 8, 3), 1e39), "the pixels are float64, some NaN, infinite or beyond 3.4e38"),
        (Image.new("RGB", (8, 8)), "takes float arrays of 3 channels"),
    ):
        with pytest.raises(ValueError, match=message):
            read_pictures(given, floats)
    series = dataclasses.replace(floats, shape=(3, 1, 8), series=True)
    with pytest.raises(ValueError, match="the values are float32, some NaN"):
        read_pictures(torch.full((3, 8), torch.nan), series)
    one = dataclasses.replace(how, shape=(1, 8, 8), mean=(0.0,), std=(1.0,))
    gray = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert torch.equal(read_pictures(gray.convert("RGB"), one), read_pictures(gray, one))
    assert read_pictures(np.asarray(gray), one).flatten().tolist() == list(range(64))
    many = dataclasses.replace(how, shape=(7, 8, 8), mean=(0.0,) * 7, std=(1.0,) * 7)
    spectra = torch.randint(255, (2, 7, 16, 16), dtype=torch.uint8)
    assert read_pictures(spectra, many).shape == (2, 7, 8, 8)
    assert read_pictures(spectra.permute(0, 2, 3, 1).numpy(), many).shape == (2, 7, 8, 8)
    with pytest.raises(ValueError, match="takes arrays of 7 channels"):
        read_pictures(gray, many)


def test_sizes_without_a_rule_are_refused() -> None:
    wide = Preparation((3, 8, 12), (0.0,) * 3, (1.0,) * 3, True, None, False)
    assert read_pictures(Image.new("RGB", (12, 8)), wide).shape == (1, 3, 8, 12)
    with pytest.raises(ValueError, match="has 8 x 12 pixels and the network takes 12 x 8"):
        read_pictures(Image.new("RGB", (8, 12)), wide)
    with pytest.raises(ValueError, match="have 12 rows and 8 columns, and the network takes 8 and"):
        read_pictures(torch.zeros(3, 12, 8, dtype=torch.uint8), wide)


def test_series_are_read_as_in_training(tmp_path: Path) -> None:
    series = np.random.default_rng(0).normal(size=(20, 2, 50)).astype(np.float32)
    np.savez(tmp_path / "series.npz", x_train=series, y_train=np.arange(20) % 2)
    record = DATASETS.get("npz")
    data = record.load(record.options(path=str(tmp_path / "series.npz"), layout="ncl", holdout=0.5))
    how = preparation_of(data)
    raw = read_pictures(series, how)
    kept = [i for i in range(20) for one in data.train.raw(torch.arange(10)) if raw[i].equal(one)]
    assert len(kept) == 10
    for given in (series[0], series[:1], torch.from_numpy(series[0]), [series[0]], raw[:1]):
        assert torch.equal(read_pictures(given, how), raw[:1])
    with pytest.raises(ValueError, match=r"shape \(3, 50\) is no series .*\(n, 2, 50\)"):
        read_pictures(np.zeros((3, 50)), how)
    np.save(tmp_path / "one.npy", series[0])
    np.save(tmp_path / "several.npy", series[:3])
    assert torch.equal(read_pictures(tmp_path / "one.npy", how), raw[:1])
    assert torch.equal(read_pictures([str(tmp_path / "several.npy")], how), raw[:3])
    (tmp_path / "broken.npy").write_text("no array")
    for name, said in (("series.npz", "is an archive of arrays"), ("broken.npy", "cannot read")):
        with pytest.raises(ValueError, match=f"{name} .*{said}|{said} .*{name}.*numpy.save"):
            read_pictures(tmp_path / name, how)
