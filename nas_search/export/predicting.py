"""From pictures to the names of their classes: what every ``model.py`` holds beside its network.

These definitions are written into the file with all they use, so they need torch alone, and Pillow
and numpy for files.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from nas_search.data.fit import Fit, fit_arrays, fit_picture
from nas_search.data.pixels import WHITE, Color, read_rgb, to_rgb

BATCH = 64
"""Pictures that go through the network at once."""


class Prediction(NamedTuple):
    """What a network says of one picture.

    Attributes:
        name: the most likely class.
        probability: its probability.
        probabilities: the probability of every class, the most likely first.
    """

    name: str
    probability: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Preparation:
    """How pictures become the input of a network, as in its training.

    Attributes:
        shape: channels, height and width of the input.
        mean: of each channel, of pixels / 255 or of floats as they are.
        std: standard deviations of the same.
        eight_bit: whether the network was trained on pixels of 0 to 255; otherwise on floats.
        fit: what happens to other sizes; None refuses them.
        files: whether it was trained on files: arrays of other sizes are then treated like them.
        series: whether it was trained on series (channels, length), repeated in equal rows.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    eight_bit: bool
    fit: Fit | None
    files: bool
    series: bool = False


class Prepared(nn.Module):
    """A network with its preparation: pixels in, probabilities of the classes out.

    Args:
        network: the network.
        preparation: its preparation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preparation: Preparation) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(preparation.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(preparation.std).view(1, -1, 1, 1))
        self._scale = 255 if preparation.eight_bit else 1

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (n, C, H, W), uint8 or floats as in training, to (n, classes)."""
        normalized = (pixels.float() / self._scale - self.mean) / self.std
        return torch.softmax(self.network(normalized).float(), 1)


def read_pictures(pictures: Any, preparation: Preparation) -> Tensor:
    """Return pictures of any kind as the pixels that the network takes, (n, C, H, W).

    Args:
        pictures: a file's path, an open file, a Pillow picture, an array (height, width),
            (height, width, channels) or (n, height, width, channels), a tensor (channels, height,
            width) or (n, channels, height, width), or a list of these. Arrays hold 0 to 255 as
            uint8, or floats from 0 to 1. Of series, an array or tensor (channels, length) or (n,
            channels, length) as in training, or a .npy file of one.
        preparation: what the network takes.

    Raises:
        ValueError: it is something else, or cannot be read; the message is one line.
    """
    read = list(_each(pictures, preparation))
    if not read:
        raise ValueError("there are no pictures: the list is empty")
    return torch.cat(read)


def predict_classes(
    network: nn.Module, pictures: Any, preparation: Preparation, classes: Sequence[str]
) -> list[Prediction]:
    """Return what ``network`` says of each picture; see :func:`read_pictures`."""
    weight = next(network.parameters(), torch.zeros(()))
    prepared = Prepared(network, preparation).to(weight.device)
    training = [module for module in network.modules() if module.training]
    prepared.eval()
    answers: list[Prediction] = []
    with torch.no_grad():
        for pixels in _batches(_each(pictures, preparation)):
            for row in prepared(pixels.to(weight.device)).tolist():
                ranked = dict(sorted(zip(classes, row, strict=True), key=lambda pair: -pair[1]))
                answers.append(Prediction(*next(iter(ranked.items())), ranked))
    for module in training:
        module.training = True
    if not answers:
        raise ValueError("there are no pictures: the list is empty")
    return answers


def _batches(each: Iterator[Tensor]) -> Iterator[Tensor]:
    waiting: list[Tensor] = []
    for pixels in each:
        for part in pixels.split(BATCH):
            waiting.append(part)
            if sum(map(len, waiting)) >= BATCH:
                yield torch.cat(waiting)
                waiting = []
    if waiting:
        yield torch.cat(waiting)


def _each(given: Any, how: Preparation) -> Iterator[Tensor]:
    """Yield pixels (n, C, H, W), as many at a time as stand together in ``given``."""
    if isinstance(given, str | PathLike) or hasattr(given, "read"):
        yield _from_file(given, how)
    elif isinstance(given, list | tuple) or hasattr(given, "__next__"):
        for one in given:
            yield from _each(one, how)
    elif hasattr(given, "getbands"):
        _need_pillow()
        yield _from_picture(to_rgb(given, _background(how)), how)
    elif isinstance(given, Tensor) or hasattr(given, "__array__"):
        yield _from_array(given, how)
    else:
        raise ValueError(
            f"{type(given).__name__} is no kind of picture; give a path, an open file, a Pillow "
            "picture, an array, a tensor, or a list of these"
        )


def _from_file(file: Any, how: Preparation) -> Tensor:
    if isinstance(file, str | PathLike):
        path = Path(file)
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the files in it as a list")
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        file = path
    if how.series:
        return _from_array(_stored(file), how)
    _need_pillow()
    return _from_picture(read_rgb(file, _background(how)), how)


def _stored(file: Any) -> Any:
    """Return the array in a .npy file."""
    if np is None:
        raise ValueError("series in files need numpy: pip install numpy")
    try:
        array = np.load(file, allow_pickle=False)
    except Exception as error:  # damaged headers raise a dozen types, tokenizer errors included
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"cannot read {file} ({reason}); save series with numpy.save") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{file} is an archive of arrays; save series with numpy.save")
    return array


def _background(how: Preparation) -> Color:
    return WHITE if how.fit is None else how.fit.background


def _from_picture(picture: Any, how: Preparation) -> Tensor:
    """Return the pixels of an RGB picture."""
    channels, height, width = how.shape
    if not how.eight_bit or channels not in (1, 3):
        raise ValueError(
            f"the network takes {'' if how.eight_bit else 'float '}arrays of {channels} channels "
            "as in its training, and no picture files"
        )
    if how.fit is not None:
        picture = fit_picture(picture, how.fit)
    if picture.size != (width, height):
        raise ValueError(
            f"the picture has {picture.width} x {picture.height} pixels and the network takes "
            f"{width} x {height}; resize it"
        )
    if channels == 1:
        picture = picture.convert("L")
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, width, channels).permute(0, 3, 1, 2).contiguous()


def _from_array(array: Any, how: Preparation) -> Tensor:
    channels, height, width = how.shape
    tensor = isinstance(array, Tensor)
    try:
        pixels = array.detach().cpu() if tensor else torch.from_numpy(np.array(array))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"cannot read the array as {_values(how)} ({error})") from None
    if how.series:
        pixels = _series(pixels, how)
    pixels = _with_channels_first(pixels, how, tensor or how.series)
    pixels = _eight_bit(pixels, how) if how.eight_bit else _floats(pixels, how)
    same = pixels.shape[1] == channels
    if same and pixels.shape[2:] == (height, width):
        return pixels
    if how.eight_bit and (not same or how.files):
        _need_pillow()
        rows = [_from_picture(to_rgb(_picture(p), _background(how)), how) for p in pixels]
        return torch.cat(rows) if rows else pixels.new_zeros(0, *how.shape)
    if how.fit is None:
        raise ValueError(
            f"the pictures have {pixels.shape[2]} rows and {pixels.shape[3]} columns, and the "
            f"network takes {height} and {width}; resize them"
        )
    return fit_arrays(pixels, how.fit)


def _series(pixels: Tensor, how: Preparation) -> Tensor:
    """Return series (channels, length) or (n, channels, length) as images of equal rows."""
    channels, rows, length = how.shape
    series = pixels[None] if pixels.dim() == 2 else pixels
    if series.dim() == 3 and series.shape[1:] == (channels, length):
        return series[:, :, None].expand(-1, -1, rows, -1)
    if series.dim() == 4 and series.shape[1:] == how.shape:
        return series
    raise ValueError(
        f"an array of shape {tuple(pixels.shape)} is no series that the network takes; give "
        f"({channels}, {length}) or (n, {channels}, {length})"
    )


def _with_channels_first(pixels: Tensor, how: Preparation, tensor: bool) -> Tensor:
    """Return pixels as (n, C, H, W); an array's channels come last, a tensor's first."""
    channels = how.shape[0]
    possible = {channels, 1, 3, 4} if channels in (1, 3) else {channels}
    shape = tuple(pixels.shape)
    pixels = pixels[None, None] if len(shape) == 2 else pixels
    pixels = pixels[None] if len(shape) == 3 else pixels
    if pixels.dim() == 4 and 0 not in pixels.shape[1:]:
        for axis in (1, 3) if tensor or len(shape) == 2 else (3, 1):
            if pixels.shape[axis] in possible:
                return pixels if axis == 1 else pixels.permute(0, 3, 1, 2)
    layout = f"(n, {channels}, height, width)" if tensor else f"(n, height, width, {channels})"
    raise ValueError(
        f"{'a tensor' if tensor else 'an array'} of shape {shape} is no picture that the network "
        f"takes; give {layout}, or one picture without n"
    )


def _values(how: Preparation) -> str:
    """Return what messages call the numbers of an array."""
    return "values" if how.series else "pixels"


def _eight_bit(pixels: Tensor, how: Preparation) -> Tensor:
    if pixels.dtype == torch.bool:
        return pixels.to(torch.uint8) * 255
    if pixels.dtype == torch.uint8:
        return pixels
    wide = pixels.double()  # not all types have a smallest and a largest value
    low, high = (wide.min().item(), wide.max().item()) if wide.numel() else (0.0, 0.0)
    if not pixels.is_floating_point() or not (low >= 0 and high <= 1):
        name = str(pixels.dtype).removeprefix("torch.")
        raise ValueError(
            f"the {_values(how)} are {name} from {low:g} to {high:g}; give uint8 from 0 to 255 "
            "or floats from 0 to 1"
        )
    return (pixels.float() * 255).round().to(torch.uint8)


def _floats(pixels: Tensor, how: Preparation) -> Tensor:
    single = pixels.float()
    if not pixels.is_floating_point() or not bool(torch.isfinite(single).all()):
        name = str(pixels.dtype).removeprefix("torch.")
        odd = ", some NaN, infinite or beyond 3.4e38" if pixels.is_floating_point() else ""
        raise ValueError(
            f"the {_values(how)} are {name}{odd}; the network takes finite floats as they were in "
            "its training"
        )
    return single


def _picture(pixels: Tensor) -> Any:
    """Return uint8 (1, 3 or 4, H, W without n) as a Pillow picture."""
    kind = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[0]]
    rows = pixels.permute(1, 2, 0).contiguous()
    size = (pixels.shape[2], pixels.shape[1])
    return Image.frombytes(kind, size, ctypes.string_at(rows.data_ptr(), rows.numel()))


def _need_pillow() -> None:
    if Image is None:
        raise ValueError("pictures need Pillow and numpy: pip install pillow numpy")


def print_classes(predict: Any, arguments: Sequence[str]) -> int:
    """Print each file's name and class; return the exit code of ``python model.py FILE...``.

    A file may hold several series, whose numbers are printed with it, if it is the only one.
    """
    if not arguments:
        print("usage: python model.py FILE...", file=sys.stderr)
        return 2
    try:
        names, answers = list(arguments), predict(list(arguments))
        if len(answers) != len(names):
            if len(names) > 1:
                raise ValueError("a file holds several series; name one such file at a time")
            names = [f"{names[0]}[{number}]" for number in range(len(answers))]
        for file, answer in zip(names, answers, strict=True):
            print(f"{file}: {answer.name} ({answer.probability:.0%})")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
