"""The form of every data set: labels in memory, pixels read on demand, one normalization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.core.registry import Registry
from nas_search.data.fit import FitName
from nas_search.data.pixels import WHITE, Color

SHORT_LIST = 12
"""So many classes are listed by name."""

Reader = Callable[[Tensor], Tensor]
"""Maps int64 indices (k,) to raw pixels (k, C, H, W), uint8 or float32; picklable for workers."""


@dataclass(frozen=True, eq=False)
class Subset:
    """A reader of some rows of what another one reads, by their own numbers.

    Attributes:
        read: the other reader.
        rows: int64, the rows.
    """

    read: Reader
    rows: Tensor

    def __call__(self, indices: Tensor) -> Tensor:
        """Return the pixels of the rows at ``indices`` (k,)."""
        return self.read(self.rows[indices])


def stored_row(read: Reader, row: int) -> int:
    """Return the number of a row where it is stored, for messages."""
    return stored_row(read.read, int(read.rows[row])) if isinstance(read, Subset) else row


def normalize(raw: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return ``(raw - mean) / std`` per channel as float32.

    Args:
        raw: (k, C, H, W) pixels; uint8 is first scaled from 0..255 to 0..1, floats are not scaled.
        mean: C channel means of the scaled pixels.
        std: C channel standard deviations, all positive.
    """
    pixels = raw.float() / 255 if raw.dtype == torch.uint8 else raw.float()
    shift, scale = (torch.tensor(v, device=raw.device).view(1, -1, 1, 1) for v in (mean, std))
    return (pixels - shift) / scale


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set, e.g. its training images.

    Attributes:
        origin: source of the images in messages, e.g. ``"my.npz x_train"``.
        labels: (n,) int64, in 0..C-1.
        read: raw pixels by index; input of training transforms.
        mean: channel means that :meth:`images` subtracts.
        std: channel standard deviations that :meth:`images` divides by.
        files: n files, where each image is one.
        series: whether these are series, repeated in equal rows.
    """

    origin: str
    labels: Tensor
    read: Reader
    mean: tuple[float, ...]
    std: tuple[float, ...]
    files: tuple[Path, ...] = ()
    series: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Tensor | Sequence[int]) -> Tensor:
        """Return the normalized images at ``indices`` (k,) as float32 (k, C, H, W).

        Only these images are read or decoded.

        Raises:
            InputError: a file cannot be read, or an image holds no finite numbers in single
                precision.
        """
        return normalize(self.raw(torch.as_tensor(indices, dtype=torch.int64)), self.mean, self.std)

    def raw(self, rows: Tensor) -> Tensor:
        """Return the pixels at ``rows`` (k,) int64 as (k, C, H, W) uint8 or finite float32.

        Raises:
            InputError: a file cannot be read, or an image holds no finite numbers in single
                precision.
        """
        raw = self.read(rows)
        if raw.dtype != torch.uint8:
            broken = ~torch.isfinite(raw).flatten(1).all(1)
            if broken.any():
                row = stored_row(self.read, int(rows[broken][0]))
                which = f"{'series' if self.series else 'image'} {row}"
                raise InputError(
                    f"{self.origin}: {which} holds NaN, infinite or too large "
                    f"{'values' if self.series else 'pixels'} (beyond 3.4e38, where single "
                    "precision ends); remove it, or repair or scale the data"
                )
        return raw


class Part(NamedTuple):
    """One part of a data set before it is normalized; attributes as of :class:`Split`."""

    origin: str
    labels: Tensor
    read: Reader
    files: tuple[Path, ...] = ()
    series: bool = False

    @property
    def kind(self) -> str:
        """What messages call its rows, in the plural."""
        return "series" if self.series else "images"

    @property
    def one(self) -> str:
        """What messages call one of its rows."""
        return "series" if self.series else "image"

    def named(self, row: int) -> str:
        """Return what a message calls the image of a row."""
        if self.files:
            return printable(str(self.files[row]))
        return f"{self.origin} row {stored_row(self.read, row)}"


@dataclass(frozen=True, eq=False)
class Parts:
    """A data set before its pixels are read; attributes as of :class:`ImageData`."""

    name: str
    class_names: tuple[str, ...]
    train: Part
    test: Part
    validation: Part | None = None
    used: str = ""
    form: str = ""
    fit: FitName = "crop"
    background: Color = WHITE
    notes: tuple[str, ...] = ()

    @property
    def series(self) -> bool:
        """Whether these are series, repeated in equal rows."""
        return self.train.series

    @property
    def kind(self) -> str:
        """What messages call its rows, in the plural."""
        return self.train.kind


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of labeled images.

    Attributes:
        name: the data set's registered name.
        class_names: C names, in label order.
        input_shape: (channels, height, width) of one image.
        mean: channel means of the training images, of uint8 / 255 or of unscaled floats.
        std: channel standard deviations of the same.
        train: the training images; the probe batch is drawn from them.
        test: the held-out images; a search never reads them.
        validation: images to choose between trainings by, where the data brings such; else None,
            and a training holds some of ``train`` back.
        used: what was found, in one line: files used and left out.
        form: how it becomes ``input_shape``, and where the parts come from, in one line.
        fit: the rule that pictures of other sizes are made square by.
        background: color behind transparent pixels and around padded pictures.
        series: whether these are series (channels, length), repeated in equal rows.
        notes: lines that say what may be wrong with the data, and what to do.
    """

    name: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split
    test: Split
    validation: Split | None = None
    used: str = ""
    form: str = ""
    fit: FitName = "crop"
    background: Color = WHITE
    series: bool = False
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes C, 2 or more."""
        return len(self.class_names)

    @property
    def kind(self) -> str:
        """What messages call its rows, in the plural."""
        return "series" if self.series else "images"

    @property
    def summary(self) -> tuple[str, str]:
        """Two lines that say what was read: files and classes; form and parts."""
        return summary_lines(self, self.input_shape)


def summary_lines(data: ImageData | Parts, shape: tuple[int, int, int]) -> tuple[str, str]:
    """Return two lines that say what was read; ``shape`` is (C, H, W) of one image."""
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    counts = {name: len(part.labels) for name, part in parts.items() if part is not None}
    used = data.used or f"{sum(counts.values()):,} {data.kind}"
    form = f" ({data.form})" if data.form else ""
    sizes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return (
        f"data: {printable(used)}; {count_classes(data.class_names, data.train.labels, data.kind)}",
        f"read as {' x '.join(map(str, shape))}{form}: {sizes} {data.kind}",
    )


def count_classes(names: Sequence[str], labels: Tensor, kind: str = "images") -> str:
    """Return in a few words how many training images, or what else ``kind`` says, classes have."""
    counts = torch.bincount(labels, minlength=len(names)).tolist()
    if len(names) <= SHORT_LIST:
        each = ", ".join(f"{printable(n)} {c:,}" for n, c in zip(names, counts, strict=True))
        return f"{len(names)} classes in training: {each}"
    low, high = min(counts), max(counts)
    return f"{len(names)} classes of {low:,}{f' to {high:,}' if high > low else ''} training {kind}"


def printable(text: str) -> str:
    """Return a name from a file system as text in one line that any terminal can print."""
    return " ".join(text.split()).encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class DatasetRecord:
    """A registered data set.

    Attributes:
        name: the name in ``dataset=...``.
        options: dataclass of its typed options with their defaults, the keys of its yaml.
        load: maps an instance of ``options`` to the data; raises InputError if it cannot.
        description: one line for help texts.
        find: maps ``options`` to the data's parts before a pixel is read, so that data which
            ``load`` refuses can be looked into; None where only ``load`` knows.
    """

    name: str
    options: type[Any]
    load: Callable[[Any], ImageData]
    description: str
    find: Callable[[Any], Parts] | None = None


DATASETS: Registry[DatasetRecord] = Registry("dataset", "nas_search.data")
