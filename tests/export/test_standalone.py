"""The standalone folder, read in a process that cannot import this package."""

from __future__ import annotations

import enum
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import nas_search
from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_csv, write_json
from nas_search.data import ImageData
from nas_search.export.formats import export
from nas_search.export.literals import Root, literal
from nas_search.export.model_file import preparation_of
from nas_search.export.source import standalone_source
from nas_search.export.standalone import write_folder
from nas_search.training.fine_tune import read_pretrained, take_weights
from tests.training.made import CELLS, architecture, recipe, stripes_data

SCRIPT = """
import sys
# Only torch, numpy, Pillow and the standard library can be imported.
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nas_search", "safetensors", "torchvision", "omegaconf", "deap"):
            raise ImportError(name + " is forbidden here")
sys.meta_path.insert(0, Forbid())
import torch
images = torch.load("../images.pt")

{readme}
torch.save((network(model.prepare(images)).detach(), sorted(network.state_dict())), "../out.pt")
assert isinstance(model.build_network(), type(network))
assert model.prepare(torch.zeros(3, 20, 13, dtype=torch.uint8)).shape == (1, *model.INPUT_SHAPE)
"""


def shown_in_the_readme() -> str:
    """Return the lines of the README that load a network and predict."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import model.*?)```", readme, re.DOTALL)
    return str(block)


def make_folder(tmp_path: Path, space: str, data: ImageData) -> tuple[Path, nn.Module, Any]:
    """Write the folder of a network; return it, the network and its architecture."""
    made = architecture(space, data)
    torch.manual_seed(0)
    network = made.build().train()
    network(data.train.images(range(20)))  # running statistics that are not those of a new network
    network.eval()
    folder = tmp_path / "folder"
    folder.mkdir()
    write_folder(folder, network, made, data, asdict(recipe()), "1.2.3")
    return folder, network, made


FAST = ("darts", "nasbench101", "nasbench201")


@pytest.mark.parametrize(
    "space",
    [pytest.param(one, marks=[] if one in FAST else pytest.mark.slow) for one in sorted(CELLS)],
)
def test_folder_needs_only_torch_and_gives_the_same_logits(tmp_path: Path, space: str) -> None:
    data = stripes_data(tmp_path)
    folder, network, made = make_folder(tmp_path, space, data)
    raw = data.test.read(torch.arange(6))
    torch.save(raw, tmp_path / "images.pt")
    photo = raw[0].permute(1, 2, 0).numpy()
    Image.fromarray(photo).save(folder / "photo.jpg", format="PNG")  # lossless
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{readme}", shown_in_the_readme())],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    logits, names = torch.load(tmp_path / "out.pt")
    with torch.no_grad():
        expected = network(data.test.images(range(6)))
    # Another process may use another number of threads, hence another order of sums.
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
    assert names == sorted(network.state_dict())
    name, probability = done.stdout.split()
    assert name == data.class_names[int(expected[0].argmax())]
    assert float(probability) == pytest.approx(float(expected[0].softmax(0).max()), abs=1e-5)
    again = nas_search.load(folder / "genotype.json")
    assert again.as_dict() == made.as_dict()


def test_fine_tuning_keeps_all_weights_but_the_head(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    made = architecture("darts", data)
    network = made.build()
    (tmp_path / "f").mkdir()
    write_folder(tmp_path / "f", network, made, data, asdict(recipe()), "1.2.3")
    pretrained = read_pretrained(tmp_path / "f")
    other = made.build(num_classes=7)
    fresh = take_weights(other, pretrained.weights)
    assert fresh == ["head.2.weight", "head.2.bias"]
    for name, value in other.state_dict().items():
        assert (name in fresh) or torch.equal(value, network.state_dict()[name])
    for given in (tmp_path / "f" / "weights.safetensors", tmp_path / "f" / "model.py"):
        assert read_pretrained(given).folder == tmp_path / "f"
    with pytest.raises(InputError, match="weights fit the network"):
        take_weights(made.build(channels=5), pretrained.weights)
    (tmp_path / "f" / "weights.safetensors").write_bytes(b"12345678")
    with pytest.raises(InputError, match="cannot read"):
        read_pretrained(tmp_path / "f")


def test_a_run_stands_for_its_best_finalist(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    run = tmp_path / "run"
    made = architecture("nasbench201", data)
    run.mkdir()
    write_json(run / "best.json", made.as_dict())
    with pytest.raises(InputError, match=r"no trained network; .*nas_search.train run="):
        read_pretrained(run)
    for key in ("aaaa", "bbbb"):
        (run / "finalists" / key).mkdir(parents=True)
        write_folder(run / "finalists" / key, made.build(), made, data, asdict(recipe()), "1.2.3")
    rows = [(1, "cccc", "failed"), (2, "bbbb", "trained"), (3, "aaaa", "trained")]
    write_csv(run / "finalists" / "finalists.csv", ("rank", "key", "status"), rows)
    for given in (run, run / "finalists"):
        assert read_pretrained(given).folder == run / "finalists" / "bbbb"
    with pytest.raises(InputError, match="no trained weights in .*weights=outputs/"):
        read_pretrained(tmp_path)


def test_exported_program_takes_pixels_and_gives_probabilities(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    network = architecture("nasbench201", data).build().eval()
    raw = data.train.raw(torch.arange(7))
    arguments = (tmp_path, "pt2", preparation_of(data), ["a", "b", "c"])
    assert export(network, raw[:4], *arguments) <= 1e-5
    names = {"classes.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=names).module()
    with torch.no_grad():
        expected = network(data.train.images(range(7))).softmax(1)
    assert torch.allclose(program(raw), expected, atol=1e-5)  # another batch size
    assert not program(raw).requires_grad
    assert json.loads(names["classes.json"]) == ["a", "b", "c"]
    assert [file.name for file in tmp_path.glob("*model*")] == ["model.pt2"]


def test_onnx_file_takes_pixels_and_gives_probabilities(tmp_path: Path) -> None:
    import onnxruntime

    data = stripes_data(tmp_path)
    network = architecture("nasbench201", data).build().eval()
    raw = data.train.raw(torch.arange(7))
    export(network, raw[:4], tmp_path, "onnx", preparation_of(data), ["a", "b", "c"])
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (got,) = session.run(None, {"pixels": raw.numpy()})
    with torch.no_grad():
        expected = network(data.train.images(range(7))).softmax(1).numpy()
    assert np.allclose(got, expected, atol=1e-4)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["a", "b", "c"]
    assert [file.name for file in tmp_path.glob("*model*")] == ["model.onnx"]  # one file, whole


def test_programs_are_used_as_the_docs_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    pages = ["README.md", "docs/training.md"]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"```python\n(.*?)```", (root / page).read_text(), re.DOTALL)
        if "model.pt2" in block or "import model" in block
    ]
    assert len(blocks) == 4
    data = stripes_data(tmp_path)
    folder, network, _ = make_folder(tmp_path, "nasbench201", data)
    raw = data.train.raw(torch.arange(4))
    export(network, raw, folder, "pt2", preparation_of(data), data.class_names)
    Image.fromarray(raw[0].permute(1, 2, 0).numpy()).save(folder / "photo.jpg", format="PNG")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    names: dict[str, Any] = {"torch": torch, "pixels": raw[:1]}
    for block in blocks:
        exec(block, names)
    del sys.modules["model"]
    said, again, named = capsys.readouterr().out.splitlines()
    assert said == again and said.split()[0] == named
    assert float(names["probabilities"].max()) == pytest.approx(float(said.split()[1]), abs=1e-5)


class Branching(nn.Module):
    """A network that no compiler can follow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :3] * (2.0 if float(x.sum()) > 0 else 1.0)


@pytest.mark.parametrize("problem", ["network", "disk"])
def test_program_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    data = stripes_data(tmp_path)
    network = Branching() if problem == "network" else architecture("nasbench201", data).build()
    if problem == "disk":

        def full(program: object, path: Path, **options: object) -> None:
            path.write_bytes(b"half")
            raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed")

        monkeypatch.setattr(torch.export, "save", full)
    raw = data.train.raw(torch.arange(4))
    with pytest.raises(RunError, match=r"^cannot write .*model\.pt2 \(") as caught:
        export(network.eval(), raw, tmp_path, "pt2", preparation_of(data), ["a", "b", "c"])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.pt2"))


class Elsewhere(nn.Module):
    """A network that uses a package other than torch."""

    def forward(self, x: object) -> object:
        return np.asarray(x)


def test_networks_that_need_more_than_torch_are_refused() -> None:
    with pytest.raises(InputError, match="'np' of numpy"):
        standalone_source([Elsewhere])


class Kind(enum.Enum):
    ONE = 1


class Pair(NamedTuple):
    first: int
    second: tuple[str, ...]


def test_literals_evaluate_to_their_value() -> None:
    value = {
        "a": (1,), "b": [1.5, None, "x'y"], "c": (True, ("z", 2)), "d": float("inf"),
        "e": {1, 2}, "f": frozenset(), "g": Kind.ONE, "h": Pair(1, ("x",)), "i": np.float64(2.5),
        "j": nn.ReLU, "k": Branching, "l": torch.float16, "m": torch.Size([1, 2]), "n": b"x",
    }  # fmt: skip
    roots: set[Root] = set()
    assert eval(literal(value, roots)) == value
    assert roots == {Kind, Pair, Branching}
    with pytest.raises(InputError, match="no plain form"):
        literal(object(), roots)
