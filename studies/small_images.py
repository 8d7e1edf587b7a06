"""Five kinds of small data, some images per class each: what people bring, in small.

Every kind is drawn or chosen by a seed, the same images for the same seed. Test images are of the
same kind and never among the training images.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor
from torch.nn.functional import interpolate

from nas_search.core.errors import InputError
from nas_search.data import DATASETS, ImageData
from nas_search.data.assemble import channel_statistics, image_data

SIZE = 16
"""Side of the images that networks see, pixels."""
TESTS = 100
"""Test images per class; fewer where there are no more."""
FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""

Pen = Callable[[np.random.Generator], Image.Image]
"""Draws a picture of one class."""
Maker = Callable[[int, int], ImageData]
"""Maps (training images per class, seed) to data."""


def kinds(cifar10: str | None) -> dict[str, Maker]:
    """Return the maker of each kind that is at hand, by name; ``cifar10`` is an .npz or None."""
    makers: dict[str, Maker] = {
        "shapes": partial(_drawn, _SHAPES, "RGB"),
        "patterns": partial(_drawn, _PATTERNS, "L"),
        "digits": _digits,
    }
    if cifar10:
        makers["cifar10"] = partial(_cifar10, cifar10)
    if FASHION.is_dir():
        makers["fashion_mnist"] = _fashion_mnist
    return makers


def shape_picture(rng: np.random.Generator, name: str) -> Image.Image:
    """Return a colored shape (``circle``, ``square``, ``triangle``, ``star``) on noise, 48 x 48."""
    side = 48
    noise = rng.normal(rng.uniform(170, 230), 12, (side, side, 3)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(noise)
    color = tuple(int(value) for value in rng.integers(0, 150, 3))
    radius = rng.uniform(12, 20)
    center = rng.uniform(radius, side - radius, 2)
    pen = ImageDraw.Draw(picture)
    if name == "circle":
        pen.ellipse([*(center - radius), *(center + radius)], fill=color)
    else:
        corners = {"square": 4, "triangle": 3, "star": 10}[name]
        turn = rng.uniform(0, 2 * math.pi)
        points = []
        for corner in range(corners):
            reach = radius * (0.45 if name == "star" and corner % 2 else 1)
            angle = turn + 2 * math.pi * corner / corners
            points.append(
                (center[0] + reach * math.cos(angle), center[1] + reach * math.sin(angle))
            )
        pen.polygon(points, fill=color)
    return picture


def pattern_picture(rng: np.random.Generator, name: str) -> Image.Image:
    """Return a grey pattern (``stripes``, ``checks``, ``dots``, ``rings``), sides 24 to 72."""
    width, height = (int(side) for side in rng.integers(24, 73, 2))
    y, x = np.mgrid[:height, :width] / min(width, height)
    turn, pitch = rng.uniform(0, math.pi), rng.uniform(2.0, 4.0)
    u, v = (
        x * math.cos(turn) + y * math.sin(turn),
        y * math.cos(turn) - x * math.sin(turn),
    )
    waves = {
        "stripes": np.sin(2 * math.pi * pitch * u),
        "checks": np.sign(np.sin(2 * math.pi * pitch * u) * np.sin(2 * math.pi * pitch * v)),
        "dots": np.sin(2 * math.pi * pitch * u) + np.sin(2 * math.pi * pitch * v) - 0.8,
        "rings": np.sin(
            2 * math.pi * pitch * np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 1))
        ),
    }
    grey = rng.uniform(90, 160) + rng.uniform(15, 50) * waves[name]
    grey = grey + rng.normal(0, 35, grey.shape)
    picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))


_SHAPES = {
    name: partial(shape_picture, name=name) for name in ("circle", "square", "star", "triangle")
}
_PATTERNS = {
    name: partial(pattern_picture, name=name) for name in ("checks", "dots", "rings", "stripes")
}


def _drawn(pens: Mapping[str, Pen], mode: str, count: int, seed: int) -> ImageData:
    """Return drawn pictures as a folder of PNG files gives them, read by ``imagefolder``."""
    with TemporaryDirectory() as folder:
        for part, number, stream in (("train", count, 0), ("test", TESTS, 1)):
            for label, (name, draw) in enumerate(pens.items()):
                rng = np.random.default_rng([seed, stream, label])
                place = Path(folder) / part / name
                place.mkdir(parents=True)
                for at in range(number):
                    draw(rng).convert(mode).save(place / f"{at:03}.png")
        record = DATASETS.get("imagefolder")
        read = record.load(record.options(path=folder, size=SIZE))
        arrays = [
            (split.read(torch.arange(len(split))), split.labels)
            for split in (read.train, read.test)
        ]
    return _in_memory("imagefolder", read.class_names, *arrays)


def _digits(count: int, seed: int) -> ImageData:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) * (255 / 16)
    images = images.round().byte().expand(-1, 3, 8, 8)
    names = [str(digit) for digit in range(10)]
    train, test = _chosen(torch.from_numpy(labels).long(), count, seed, spare=True)
    return _in_memory(
        "digits", names, *((_scaled(images[r]), torch.from_numpy(labels)[r]) for r in (train, test))
    )


def _cifar10(path: str, count: int, seed: int) -> ImageData:
    record = DATASETS.get("npz")
    data = record.load(record.options(path=path))
    parts = []
    for split, number in ((data.train, count), (data.test, TESTS)):
        rows, _ = _chosen(split.labels, number, seed)
        parts.append((_scaled(split.read(rows)), split.labels[rows]))
    return _in_memory("cifar10", data.class_names, *parts)


def _fashion_mnist(count: int, seed: int) -> ImageData:
    parts = []
    for name, number in (("train", count), ("t10k", TESTS)):
        pixels, labels = (
            _idx(FASHION / f"{name}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")
        )
        rows, _ = _chosen(torch.from_numpy(labels).long(), number, seed)
        images = torch.from_numpy(pixels[rows.numpy()])[:, None].expand(-1, 3, -1, -1)
        parts.append((_scaled(images), torch.from_numpy(labels).long()[rows]))
    return _in_memory("fashion_mnist", [str(label) for label in range(10)], *parts)


def _idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in a file of MNIST's format, plain or gzipped."""
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        raise InputError(f"{path}(.gz) is missing; install dataset-fashion-mnist again")
    raw = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    sides = raw[3]
    shape = np.frombuffer(raw, ">u4", sides, 4).astype(int)
    pixels: NDArray[np.uint8] = (
        np.frombuffer(raw, np.uint8, offset=4 + 4 * sides).reshape(shape).copy()
    )
    return pixels


def _chosen(labels: Tensor, count: int, seed: int, spare: bool = False) -> tuple[Tensor, Tensor]:
    """Return ``count`` rows of every class, and with ``spare`` up to :data:`TESTS` others."""
    rng = np.random.default_rng(seed)
    taken, rest = [], []
    for label in range(int(labels.max()) + 1):
        rows = torch.from_numpy(rng.permutation(np.flatnonzero(labels.numpy() == label)))
        taken.append(rows[:count])
        rest.append(rows[count : count + TESTS] if spare else rows[:0])
    return torch.cat(taken), torch.cat(rest)


def _scaled(images: Tensor) -> Tensor:
    """Return 8-bit images (n, 3, SIZE, SIZE)."""
    if images.shape[2:] == (SIZE, SIZE):
        return images.contiguous()
    mode = "area" if images.shape[2] > SIZE else "bilinear"
    return interpolate(images.float(), (SIZE, SIZE), mode=mode).round().byte()


def _in_memory(
    name: str, classes: Sequence[str], train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> ImageData:
    learnt, held_out = (
        (f"{name} {part}", labels.long(), partial(torch.index_select, pixels, 0))
        for part, (pixels, labels) in (("train", train), ("test", test))
    )
    return image_data(name, classes, learnt, held_out, channel_statistics(learnt))
