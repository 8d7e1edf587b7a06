"""The text of ``model.py``: a trained network's classes, and functions to load and use it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nas_search.core.errors import InputError
from nas_search.data import ImageData
from nas_search.data.base import normalize
from nas_search.data.fit import LEAST_SIZE, Fit
from nas_search.export.literals import Root, literal
from nas_search.export.predicting import (
    Preparation,
    predict_classes,
    print_classes,
    read_pictures,
)
from nas_search.export.source import standalone_source
from nas_search.runs.architecture import Architecture

WEIGHTS = "weights.safetensors"
TORCHVISION = re.compile(r"^(?:from|import) torchvision\b", re.MULTILINE)

_PICTURES = ("pictures", "Pillow and numpy", "photo.jpg")
_ALWAYS = (normalize, read_pictures, predict_classes, print_classes)
_IMPORTS = (
    *("import json", "import sys", "from pathlib import Path"),
    *("import torch", "from torch import Tensor", "from torch import nn"),
)
_DEFINED = (
    *("INPUT_SHAPE", "CLASSES", "PREPARATION", "_TYPES"),
    *("build_network", "load", "read", "prepare", "predict"),
)
_HEAD = '''"""{title}

Written by nas_search {version}. It needs {needs} and the weights in the same folder; {files}
in files need {packages} too:

    import model
    network = model.load()
    for answer in model.predict(network, ["{example}"]):
        print(answer.name, answer.probability)

From a shell: python model.py {example}
"""

'''
_TAIL = '''

INPUT_SHAPE = {input_shape}  # channels, height, width
CLASSES = {classes}
PREPARATION = {preparation}
_TYPES = {{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16}}
_TYPES |= {{"BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8}}
_TYPES["BOOL"] = torch.bool


def build_network() -> nn.Module:
    """Return the network with fresh weights."""
    return {call}


def load(path=None) -> nn.Module:
    """Return the network in eval mode, with the weights beside this file or in ``path``."""
    raw = (Path(path) if path else Path(__file__).with_name("{weights}")).read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    state = {{}}
    for name, entry in json.loads(raw[8:end]).items():
        if name != "__metadata__":
            low, high = (end + offset for offset in entry["data_offsets"])
            kind, part = _TYPES[entry["dtype"]], bytearray(raw[low:high])
            values = torch.frombuffer(part, dtype=kind) if part else torch.empty(0, dtype=kind)
            state[name] = values.reshape(entry["shape"])
    network = build_network()
    network.load_state_dict(state)
    return network.eval()


def read(pictures) -> Tensor:
    """Return the pixels that the network and model.pt2 take: {dtype} (n, *INPUT_SHAPE).

    Args:
        pictures: a path, a Pillow picture, an array (height, width, channels) or a tensor
            (channels, height, width), {values}; several
            as a list, or as one array or tensor with n in front.
    """
    return read_pictures(pictures, PREPARATION)


def prepare(pictures) -> Tensor:
    """Return the normalized input of the network, float32 (n, *INPUT_SHAPE); see :func:`read`."""
    return normalize(read(pictures), PREPARATION.mean, PREPARATION.std)


def predict(network: nn.Module, pictures) -> list[Prediction]:
    """Return name, probability and all probabilities of each picture; see :func:`read`."""
    return predict_classes(network, pictures, PREPARATION, CLASSES)


if __name__ == "__main__":
    raise SystemExit(print_classes(lambda files: predict(load(), files), sys.argv[1:]))
'''


def preparation_of(data: ImageData) -> Preparation:
    """Return how pictures become the input of a network that is trained on ``data``."""
    channels, height, width = data.input_shape
    square = height == width >= LEAST_SIZE
    return Preparation(
        shape=(channels, height, width),
        mean=tuple(data.mean),
        std=tuple(data.std),
        eight_bit=data.train.read(torch.zeros(1, dtype=torch.int64)).dtype == torch.uint8,
        fit=Fit(height, data.fit, data.background) if square and not data.series else None,
        files=bool(data.train.files),
        series=data.series,
    )


def model_source(architecture: Architecture, data: ImageData, version: str) -> str:
    """Return the text of ``model.py``.

    Args:
        architecture: the network's architecture.
        data: its training data.
        version: version of this package.

    Raises:
        InputError: see :func:`nas_search.export.source.standalone_source`.
    """
    called = architecture.call()
    kind, arguments, keywords = (
        (*called, {}) if called is not None else _constructor(architecture.build)
    )
    preparation = preparation_of(data)
    roots: set[Root] = set()
    parts = [literal(value, roots) for value in arguments]
    parts += [f"{name}={literal(value, roots)}" for name, value in keywords.items()]
    prepared = literal(preparation, roots)
    named = sorted(roots - {kind}, key=lambda root: root.__qualname__)
    body = standalone_source([*named, kind, *_ALWAYS], _IMPORTS, _DEFINED)
    tail = _TAIL.format(
        input_shape=tuple(data.input_shape),
        classes=list(data.class_names),
        preparation=prepared,
        dtype="uint8" if preparation.eight_bit else "float32",
        values="uint8 or floats from 0 to 1" if preparation.eight_bit else "floats as in training",
        call=f"{kind.__name__}({', '.join(parts)})",
        weights=WEIGHTS,
    )
    title = f"A network of the {architecture.search_space} space, {architecture.genotype}"
    title = title.replace("\\", "\\\\").replace('"', "'")  # it stands in a docstring
    needs = "torch, torchvision" if TORCHVISION.search(body) else "torch"
    files = ("series", "numpy", "series.npy") if data.series else _PICTURES
    about = dict(zip(("files", "packages", "example"), files, strict=True))
    return _HEAD.format(title=title, version=version, needs=needs, **about) + body + tail


def _constructor(
    build: Callable[[], nn.Module],
) -> tuple[type[nn.Module], tuple[Any, ...], dict[str, Any]]:
    """Return the class of the network that ``build`` makes, and its constructor's arguments."""
    kind = type(build())
    calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = []
    with _spied(kind, calls):
        network = build()
    for made, arguments, keywords in calls:
        if made is network:
            return kind, arguments, keywords
    raise InputError(
        f"cannot write model.py: no call of {kind.__name__}(...) makes the network; return from "
        "build what its constructor gives"
    )


@contextmanager
def _spied(
    kind: type[nn.Module], calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]
) -> Iterator[None]:
    original = kind.__init__

    def spy(self: nn.Module, *arguments: Any, **keywords: Any) -> None:
        try:  # copies, since the constructor may use up its arguments
            calls.append((self, *copy.deepcopy((arguments, keywords))))
        except Exception:  # what cannot be copied has no literal form, which is said later
            calls.append((self, arguments, keywords))
        original(self, *arguments, **keywords)

    kind.__init__ = spy  # type: ignore[method-assign]
    try:
        yield
    finally:
        kind.__init__ = original  # type: ignore[method-assign]
