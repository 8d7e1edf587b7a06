"""The standalone folder, read in a process that cannot import this package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nas_search
from nas_search.core.errors import InputError
from nas_search.training.fine_tune import read_pretrained, take_weights
from nas_search.training.formats import export
from nas_search.training.source import literal, standalone_source
from nas_search.training.standalone import write_folder
from tests.training.made import CELLS, architecture, recipe, stripes_data

SCRIPT = """
import sys
# Only torch, numpy and the standard library can be imported.
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


@pytest.mark.parametrize("space", sorted(CELLS))
def test_folder_needs_only_torch_and_gives_the_same_logits(tmp_path: Path, space: str) -> None:
    data = stripes_data(tmp_path)
    made = architecture(space, data)
    network = made.build().train()
    network(data.train.images(range(20)))  # running statistics that are not those of a new network
    network.eval()
    folder = tmp_path / "folder"
    folder.mkdir()
    write_folder(folder, network, made, data, recipe(), "1.2.3")
    raw = data.test.read(torch.arange(6))
    torch.save(raw, tmp_path / "images.pt")
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
    shown = [data.class_names[i] for i in expected.argmax(1).tolist()]
    assert done.stdout.strip() == str(shown)
    again = nas_search.load(folder / "genotype.json")
    assert again.as_dict() == made.as_dict()


def test_fine_tuning_keeps_all_weights_but_the_head(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    made = architecture("darts", data)
    network = made.build()
    (tmp_path / "f").mkdir()
    write_folder(tmp_path / "f", network, made, data, recipe(), "1.2.3")
    pretrained = read_pretrained(tmp_path / "f")
    other = made.build(num_classes=7)
    fresh = take_weights(other, pretrained.weights)
    assert fresh == ["head.2.weight", "head.2.bias"]
    for name, value in other.state_dict().items():
        assert (name in fresh) or torch.equal(value, network.state_dict()[name])
    with pytest.raises(InputError, match="weights fit the network"):
        take_weights(made.build(channels=5), pretrained.weights)
    (tmp_path / "f" / "weights.safetensors").write_bytes(b"12345678")
    with pytest.raises(InputError, match="cannot read"):
        read_pretrained(tmp_path / "f")


def test_exported_program_gives_the_same_logits(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    network = architecture("nasbench201", data).build().eval()
    difference = export(network, data.train.images(range(4)), tmp_path, "pt2")
    assert difference <= 1e-5
    images = data.train.images(range(7))  # another batch size than that of the export
    got = torch.export.load(tmp_path / "model.pt2").module()(images)
    assert torch.allclose(got, network(images), atol=1e-5)


def test_onnx_file_gives_the_same_logits(tmp_path: Path) -> None:
    import onnxruntime

    data = stripes_data(tmp_path)
    network = architecture("nasbench201", data).build().eval()
    export(network, data.train.images(range(4)), tmp_path, "onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    images = data.train.images(range(7))
    (got,) = session.run(None, {"images": images.numpy()})
    assert np.allclose(got, network(images).detach().numpy(), atol=1e-4)


class Elsewhere(nn.Module):
    """A network that uses a package other than torch."""

    def forward(self, x: object) -> object:
        return np.asarray(x)


def test_networks_that_need_more_than_torch_are_refused() -> None:
    with pytest.raises(InputError, match="'np' of numpy"):
        standalone_source([Elsewhere])


def test_literals_evaluate_to_their_value() -> None:
    value = {"a": (1,), "b": [1.5, None, "x'y"], "c": (True, ("z", 2))}
    assert eval(literal(value)) == value
    with pytest.raises(InputError, match="no plain form"):
        literal(object())
