"""A trained network as a standalone folder: source, weights, recipe and preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.core.files import write_json
from nas_search.data import ImageData
from nas_search.runs.architecture import Architecture
from nas_search.training.checkpoint import write_whole
from nas_search.training.recipe import Recipe
from nas_search.training.source import classes_in, literal, standalone_source

WEIGHTS = "weights.safetensors"

_HEAD = '''"""{title}

Written by nas_search {version}. It needs only torch, and its weights in the same folder:

    import model
    network = model.load()
    print(model.predict(network, images))  # uint8 (n, {channels}, height, width)
"""

'''

_TAIL = '''

INPUT_SHAPE = {input_shape}  # channels, height, width
CLASSES = {classes}
MEAN = {mean}  # of the channels{scale_note}
STD = {std}
_TYPES = {{"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}}


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
            values = torch.frombuffer(bytearray(raw[low:high]), dtype=_TYPES[entry["dtype"]])
            state[name] = values.reshape(entry["shape"])
    network = build_network()
    network.load_state_dict(state)
    return network.eval()


def prepare(images: torch.Tensor) -> torch.Tensor:
    """Return the network's input: normalized float32 (n, *INPUT_SHAPE).

    Args:
        images: (n, channels, height, width) or one image without n; uint8 from 0 to 255, or floats
            {float_note}. Other sizes are scaled by the shorter side and center-cropped.
    """
    images = images if images.dim() == 4 else images[None]
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    height, width = INPUT_SHAPE[1:]
    if pixels.shape[2:] != (height, width):
        factor = max(height / pixels.shape[2], width / pixels.shape[3])
        size = [max(round(pixels.shape[2] * factor), height)]
        size.append(max(round(pixels.shape[3] * factor), width))
        pixels = torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        pixels = pixels[:, :, top : top + height, left : left + width]
    mean = torch.tensor(MEAN, device=pixels.device).view(1, -1, 1, 1)
    return (pixels - mean) / torch.tensor(STD, device=pixels.device).view(1, -1, 1, 1)


@torch.no_grad()
def predict(network: nn.Module, images: torch.Tensor) -> list:
    """Return the name of the most likely class of each image; see :func:`prepare`."""
    device = next(network.parameters()).device
    return [CLASSES[i] for i in network(prepare(images.to(device))).argmax(1).tolist()]
'''


def write_folder(
    folder: Path,
    network: nn.Module,
    architecture: Architecture,
    data: ImageData,
    recipe: Recipe,
    version: str,
) -> None:
    """Write ``model.py``, weights, genotype, preprocessing and recipe of a trained network.

    Args:
        folder: an existing folder.
        network: the trained network of ``architecture``.
        architecture: its architecture.
        data: its training data.
        recipe: its recipe.
        version: version of this package.

    Raises:
        InputError: the source cannot be written as one file; everything else is written.
        RunError: the disk refuses.
    """
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    write_whole(folder / WEIGHTS, lambda file: file.write(to_safetensors(state)))
    write_json(folder / "genotype.json", architecture.as_dict())
    write_json(
        folder / "preprocessing.json",
        {
            "input_shape": list(data.input_shape),
            "classes": list(data.class_names),
            "mean": list(data.mean),
            "std": list(data.std),
            "pixels": "0 to 255, divided by 255" if _is_8_bit(data) else "as they are",
        },
    )
    recipe_text = OmegaConf.to_yaml(OmegaConf.create(asdict(recipe))).encode()
    write_whole(folder / "recipe.yaml", lambda file: file.write(recipe_text))
    source = model_source(architecture, data, version).encode()
    write_whole(folder / "model.py", lambda file: file.write(source))


def model_source(architecture: Architecture, data: ImageData, version: str) -> str:
    """Return the text of ``model.py``: the network's classes, and functions to build and use it.

    Raises:
        InputError: see :func:`nas_search.training.source.standalone_source`.
    """
    kind, arguments, keywords = _constructor(architecture.build)
    call = f"{kind.__name__}({_arguments(arguments, keywords)})"
    classes = {kind, *classes_in(tuple(arguments)), *classes_in(keywords)}
    roots = sorted(classes, key=lambda c: (c is kind, c.__name__))
    body = standalone_source(roots)
    for line in ("import json", "from pathlib import Path", "import torch", "from torch import nn"):
        if f"\n{line}" not in body.split("\n\n\n")[0]:
            body = body.replace("annotations\n", f"annotations\n\n{line}", 1)
    eight = _is_8_bit(data)
    tail = _TAIL.format(
        input_shape=tuple(data.input_shape),
        classes=list(data.class_names),
        mean=tuple(data.mean),
        std=tuple(data.std),
        scale_note=" after division by 255" if eight else ", of the pixels as they are",
        float_note="from 0 to 1" if eight else "as in training",
        call=call,
        weights=WEIGHTS,
    )
    title = f"A network of the {architecture.search_space} space, {architecture.genotype}"
    head = _HEAD.format(title=title, version=version, channels=data.input_shape[0])
    return head + body + tail


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights in a finalist's folder, on the CPU.

    Raises:
        InputError: there are none, or the file is damaged.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read {folder / WEIGHTS} ({error}); give the folder of a trained finalist"
        ) from None


def _is_8_bit(data: ImageData) -> bool:
    return data.train.read(torch.zeros(1, dtype=torch.int64)).dtype == torch.uint8


def _arguments(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    parts = [literal(value) for value in arguments]
    return ", ".join([*parts, *(f"{name}={literal(value)}" for name, value in keywords.items())])


def _constructor(
    build: Callable[[], nn.Module],
) -> tuple[type[nn.Module], tuple[Any, ...], dict[str, Any]]:
    """Return the class of the network that ``build`` makes, and its constructor's arguments."""
    kind = type(build())
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    with _spied(kind, calls):
        build()
    return kind, *calls[0]


@contextmanager
def _spied(kind: type[nn.Module], calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> Any:
    original = kind.__init__

    def spy(self: nn.Module, *arguments: Any, **keywords: Any) -> None:
        calls.append((arguments, keywords))
        original(self, *arguments, **keywords)

    kind.__init__ = spy  # type: ignore[method-assign]
    try:
        yield
    finally:
        kind.__init__ = original  # type: ignore[method-assign]
