"""model.py of a space of one's own: equal logits however its operations are defined, or refused."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas_search.core.errors import InputError
from nas_search.export.source import standalone_source
from nas_search.export.standalone import write_folder
from nas_search.export.verify import Written, check_written, written
from nas_search.runs.architecture import Architecture
from nas_search.spaces import SPACES
from tests.training.made import recipe, stripes_data

CONV = """
class Conv(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return self.inner(x)
"""
NETWORK = """
class Network(nn.Module):
    def __init__(self, name="conv", width=4, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 1)
        self.block = OPS[name](width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.block(self.stem(x)).mean((2, 3)))
"""
HEAD = "import torch\nfrom torch import nn\n"

WAYS = {
    "literal": CONV + 'OPS = {"conv": Conv}\n',
    "annotated": CONV + 'OPS: "dict[str, type]" = {"conv": Conv}\n',
    "lambda": 'OPS = {"conv": lambda width: nn.Conv2d(width, width, 3, padding=1)}\n',
    "decorated class": """
OPS = {}

def register(name):
    def add(op):
        OPS[name] = op
        return op
    return add

@register("conv")"""
    + CONV,
    "decorated function": """
OPS = {}

def register(op):
    OPS[op.__name__] = op
    return op

@register
def conv(width):
    return nn.Conv2d(width, width, 3, padding=1)
""",
    "subscript": "OPS = {}\n" + CONV + 'OPS["conv"] = Conv\n',
    "update": "OPS = dict()\n" + CONV + "OPS.update(conv=Conv)\n",
    "setdefault": "OPS = {}\n" + CONV + 'OPS.setdefault("conv", Conv)\n',
    "merged in place": "OPS = {}\n" + CONV + 'OPS |= {"conv": Conv}\n',
    "merged anew": "BASE = {}\n" + CONV + 'OPS = {**BASE, "conv": Conv}\n',
    "under if": "import sys\nif sys.version_info >= (3, 0):\n"
    + "\n".join(f"    {line}" for line in CONV.splitlines())
    + '\n    OPS = {"conv": Conv}\nelse:\n    OPS = {}\n',
    "under try": "try:\n    from math import no_such_thing\nexcept ImportError:\n"
    + "\n".join(f"    {line}" for line in CONV.splitlines())
    + '\nOPS = {"conv": Conv}\n',
    "under with": "import contextlib\nOPS = {}\n"
    + CONV
    + 'with contextlib.suppress(KeyError):\n    OPS["conv"] = Conv\n',
    "tuple": CONV + 'OPS, NAMES = {"conv": Conv}, ("conv",)\n',
    "one line": CONV + 'import numpy\nOPS = {"conv": Conv}; SPARE = numpy.zeros(3)\n',
    "starred": CONV + 'OPS, *REST = {"conv": Conv}, 1, 2\n',
    "walrus": CONV + '(OPS := {})["conv"] = Conv\n',
    "loop": """
OPS = {}
for size in (1, 3):
    OPS[f"conv{size}"] = lambda width, size=size: nn.Conv2d(width, width, size, padding=size // 2)
OPS["conv"] = OPS["conv3"]
""",
    "comprehension": CONV + 'OPS = {name: kind for name, kind in [("conv", Conv)]}\n',
    "registry object": """
class Registry:
    def __init__(self):
        self.table = {}

    def add(self, name):
        def keep(op):
            self.table[name] = op
            return op
        return keep

    def __getitem__(self, name):
        return self.table[name]

OPS = Registry()

@OPS.add("conv")"""
    + CONV,
    "subclasses": """
OPS = {}

class Op(nn.Module):
    def __init_subclass__(cls):
        OPS[cls.__name__.lower()] = cls
"""
    + CONV.replace("nn.Module", "Op"),
    "metaclass": """
OPS = {}

class Meta(type):
    def __init__(cls, name, bases, space):
        super().__init__(name, bases, space)
        OPS[name.lower()] = cls
"""
    + CONV.replace("(nn.Module)", "(nn.Module, metaclass=Meta)"),
    "function that fills": "OPS = {}\n" + CONV + 'def fill():\n    OPS["conv"] = Conv\n\nfill()\n',
    "function that fills its argument": "OPS = {}\n"
    + CONV
    + 'def put(table, name, op):\n    table[name] = op\n\nput(OPS, "conv", Conv)\n',
    "mapped": "OPS = {}\n"
    + CONV
    + "def put(op):\n    OPS[op.__name__.lower()] = op\n\nlist(map(put, [Conv]))\n",
    "instances": """
OPS = {}

class Op:
    def __init__(self, name, kernel):
        self.kernel = kernel
        OPS[name] = self

    def __call__(self, width):
        return nn.Conv2d(width, width, self.kernel, padding=self.kernel // 2)

SMALL = Op("conv", 3)
""",
    "global": "OPS = None\n"
    + CONV
    + 'def fill():\n    global OPS\n    OPS = {"conv": Conv}\n\nfill()\n',
    "class attribute": """
class Table:
    ops = {}

    def __class_getitem__(cls, name):
        return cls.ops[name]
"""
    + CONV
    + 'Table.ops["conv"] = Conv\nOPS = Table\n',
    "setattr": """
class Table:
    def __class_getitem__(cls, name):
        return getattr(cls, name)
"""
    + CONV
    + 'setattr(Table, "conv", Conv)\nOPS = Table\n',
    "replaced method": CONV
    + """
def forward(self, x):
    return self.inner(x) * 2

Conv.forward = forward
OPS = {"conv": Conv}
""",
    "partial": "from functools import partial\n"
    + CONV.replace("width):", "width, bias=True):")
    + 'OPS = {"conv": partial(Conv, bias=False)}\n',
    "local name of a global": CONV
    + """
def make(width):
    broken = Conv
    return broken(width)

import numpy
broken = numpy.zeros(3)
OPS = {"conv": make}
""",
    "annotation of another package": "import numpy as np\n"
    + CONV.replace("width):", "width: 'np.ndarray'):")
    + 'OPS = {"conv": Conv}\n',
    "run as a program": CONV
    + 'OPS = {"conv": Conv}\nif __name__ == "__main__":\n    import numpy\n    OPS = numpy\n',
    "star": "from torch.nn import *\nOPS = {'conv': lambda w: Conv2d(w, w, 3, padding=1)}\n",
    "long name": "import torch.nn.functional\n"
    + CONV.replace("self.inner(x)", "torch.nn.functional.relu(self.inner(x))")
    + 'OPS = {"conv": Conv}\n',
}
"""What stands before the network in one module."""

SEVERAL = {
    "imported": {
        "ops": HEAD + CONV + 'OPS = {"conv": Conv}\n',
        "net": HEAD + "from {p}.ops import OPS\n",
    },
    "renamed": {
        "ops": HEAD + CONV + 'TABLE = {"conv": Conv}\n',
        "net": HEAD + "from {p}.ops import TABLE as OPS\n",
    },
    "relative": {
        "ops": HEAD + CONV + 'OPS = {"conv": Conv}\n',
        "net": HEAD + "from .ops import OPS\n",
    },
    "whole module": {
        "ops": HEAD + CONV + 'TABLE = {"conv": Conv}\n',
        "net": HEAD + "from {p} import ops\nOPS = ops.TABLE\n",
    },
    "whole module, filled from outside": {
        "ops": HEAD + CONV + "TABLE = {}\n",
        "net": HEAD + 'from {p} import ops\nops.TABLE["conv"] = ops.Conv\nOPS = ops.TABLE\n',
    },
    "star": {
        "ops": HEAD + CONV + 'OPS = {"conv": Conv}\n',
        "net": HEAD + "from {p}.ops import *\n",
    },
    "star that brings torch": {
        "ops": HEAD + CONV + 'OPS = {"conv": Conv}\n',
        "net": "from .ops import *\n",
    },
    "star of a star": {
        "ops": "from torch.nn import *\nfrom torch import nn\n",
        "net": "from .ops import *\nOPS = {'conv': lambda w: Conv2d(w, w, 3, padding=1)}\n",
    },
    "torch from a module": {
        "ops": HEAD + CONV + 'OPS = {"conv": Conv}\n',
        "net": "from .ops import OPS, nn\n",
    },
    "re-exported": {
        "base": HEAD + CONV + 'OPS = {"conv": Conv}\n',
        "ops": "from {p}.base import OPS\n",
        "net": HEAD + "from {p}.ops import OPS\n",
    },
    "decorated elsewhere by another name": {
        "ops": "OPS = {}\n\ndef register(op):\n    OPS[op.__name__.lower()] = op\n    return op\n",
        "base": "from .ops import register as operation\n",
        "convs": HEAD + "from .base import operation\n\n@operation" + CONV,
        "net": HEAD + "from . import convs\nfrom .ops import OPS\n",
    },
    "decorated elsewhere": {
        "ops": "OPS = {}\n\ndef register(op):\n    OPS[op.__name__.lower()] = op\n    return op\n",
        "convs": HEAD + "from {p}.ops import register\n\n@register" + CONV,
        "net": HEAD + "import {p}.convs\nfrom {p}.ops import OPS\nNAMES = tuple(OPS)\n",
    },
}
"""Modules of one package; the network stands at the end of ``net``."""

REFUSED = {
    "globals": (CONV + 'globals()["OPS"] = {"conv": Conv}\n', "'OPS' of .* cannot be followed"),
    "class inside a function": (
        "def make():\n"
        + "\n".join(f"    {line}" for line in CONV.splitlines())
        + '\n    return Conv\nimport numpy\nOPS = {"conv": (make(), numpy)[0]}\n',
        "'numpy' of numpy",
    ),
    "other package": (
        "import numpy as np\n" + CONV.replace("self.inner(x)", "np.ones(1) * self.inner(x)")
        + 'OPS = {"conv": Conv}\n',
        "'np' of numpy",
    ),
    "other package inside a function": (
        CONV.replace("        return", "        import numpy\n        return")
        + 'OPS = {"conv": Conv}\n',
        "imports numpy inside",
    ),
    "reserved name": (
        CONV + 'def load(width):\n    return Conv(width)\n\nOPS = {"conv": load}\n',
        "'load' is of model.py and of",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def forget_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.startswith("own")]:
        del sys.modules[name]


def made(folder: Path, package: str, files: dict[str, str]) -> type[nn.Module]:
    """Write and import a package; return the network of its module ``net``."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text("")
    for name, text in files.items():
        whole = text.replace("{p}", package) + (NETWORK if name == "net" else "")
        (folder / package / f"{name}.py").write_text(whole)
    importlib.invalidate_caches()
    kind: type[nn.Module] = importlib.import_module(f"{package}.net").Network
    return kind


def exported(folder: Path, kind: type[nn.Module]) -> Written:
    """Write the source of a network, and its weights."""
    torch.manual_seed(0)
    network, images = kind().eval(), torch.randn(2, 3, 8, 8)
    tail = (
        "\n\ndef prepare(x):\n    return x\n\n\ndef load():\n    network = Network()\n"
        '    network.load_state_dict(torch.load(__file__ + ".pt"))\n    return network.eval()\n'
    )
    source = standalone_source([kind], ["import torch"], ["load", "prepare"])
    folder.mkdir()
    (folder / "model.py").write_text(source + tail)
    torch.save(network.state_dict(), folder / "model.py.pt")
    with torch.no_grad():
        return Written(folder, images, network(images), (kind.__module__.split(".")[0],))


@pytest.mark.slow
def test_every_way_to_define_operations_gives_a_file_with_equal_logits(tmp_path: Path) -> None:
    ways: dict[str, dict[str, str]] = {way: {"net": HEAD + text} for way, text in WAYS.items()}
    ways |= {f"several modules, {way}": files for way, files in SEVERAL.items()}
    folders = [
        exported(tmp_path / f"out{i}", made(tmp_path, f"own{i}", files))
        for i, files in enumerate(ways.values())
    ]
    folders.append(example(tmp_path / "example"))
    problems = dict(zip([*ways, "the example"], check_written(folders), strict=True))
    assert {way: problem for way, problem in problems.items() if problem} == {}


def example(folder: Path) -> Written:
    """Write the folder of a network of examples/own_space.py."""
    folder.mkdir()
    data = stripes_data(folder)
    source = (Path(__file__).parents[2] / "examples" / "own_space.py").read_text(encoding="utf-8")
    text = source.replace('"chain"', '"own_chain"')  # tests of the examples register the other one
    (folder.parent / "own_example.py").write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    with SPACES.temporarily():
        importlib.import_module("own_example")
        made = Architecture("own_chain", "conv3|wide|skip|pool", data.input_shape, 3, {}, {})
        network = made.build().eval()
        write_folder(folder, network, made, data, asdict(recipe()), "1.2.3")
        return written(folder, network, data)


@pytest.mark.parametrize("way", list(REFUSED))
def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path, way: str) -> None:
    text, message = REFUSED[way]
    with pytest.raises(InputError, match=f"^cannot write model.py: .*{message}") as caught:
        exported(tmp_path / "out", made(tmp_path, "own", {"net": HEAD + text}))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_two_definitions_of_one_name_are_refused(tmp_path: Path) -> None:
    files = {
        "ops": HEAD + "SCALE = 2\n" + CONV.replace("(x)", "(x) * SCALE") + 'OPS = {"conv": Conv}\n',
        "net": HEAD + "from {p}.ops import OPS\nSCALE = 3\n",
    }
    kind = made(tmp_path, "own", files)
    exported(tmp_path / "out", kind)  # the network does not use its SCALE
    again = {"ops": files["ops"], "net": files["net"] + "OPS = {**OPS}\n"}
    with pytest.raises(InputError, match=r"'OPS' of own2.net is imported from own2.ops and then"):
        exported(tmp_path / "out3", made(tmp_path, "own2", again))
    file = tmp_path / "own" / "net.py"
    file.write_text(file.read_text().replace("self.stem(x)", "self.stem(x) * SCALE"))
    for name in ("own", "own.net", "own.ops"):
        del sys.modules[name]
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=r"'SCALE' is of own.net and of own.ops; rename one"):
        exported(tmp_path / "out2", importlib.import_module("own.net").Network)


@pytest.mark.slow
def test_a_file_with_other_logits_or_weights_is_found(tmp_path: Path) -> None:
    kind = made(tmp_path, "own", {"net": HEAD + WAYS["literal"]})
    texts: dict[str, Any] = {
        "right": lambda text: text,
        "logits": lambda text: text.replace("self.inner(x)", "self.inner(x) * 1.01"),
        "weights": lambda text: text.replace('"conv": Conv', '"conv": lambda width: nn.Identity()'),
        "stranger": lambda text: "import own\n" + text.replace("from __future__", "#"),
        "syntax": lambda text: text + "\n)",
        "exit": lambda text: text + "\nimport os\nos._exit(0)",
    }
    folders = []
    for name, change in texts.items():
        one = exported(tmp_path / name, kind)
        file = one.folder / "model.py"
        file.write_text(change(file.read_text()))
        folders.append(one)
    right, logits, weights, stranger, syntax, ended = check_written(folders)
    assert right == ""
    assert "its logits differ by" in logits
    assert "Missing key" in weights or "Unexpected key" in weights
    assert "it imports own" in stranger
    assert "SyntaxError" in syntax
    assert "the process that reads it ended" in ended
