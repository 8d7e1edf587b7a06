"""The contact sheet in a search's report: small, of few images, and only where there are images."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor
from torch.nn import functional

from nas_search import report
from nas_search.commands.screen import prose
from nas_search.data import ImageData
from nas_search.data.assemble import spaced_rows
from nas_search.data.base import Part, printable
from nas_search.data.inspection import label_samples

SHEET = "samples.png"
CLASSES = 10
"""Classes that are shown, evenly spaced among all."""
LARGEST = 72
"""Pixels that an image keeps in each direction."""
MOST = 50
"""Images of a class, however many are asked for: more are wider than a page."""
BYTES = 200_000
"""Size that the file may have: fewer images are shown where they would take more."""


def write_samples(data: ImageData, count: int, directory: Path, console: Console) -> None:
    """Write ``count`` training images per class into the folder of a run, unless they are there.

    Nothing is written of series, nor of images of which one per class takes more than
    :data:`BYTES`, and what an earlier start wrote is deleted where ``count`` is 0. What goes wrong
    is said in a line: a picture is never worth a search.
    """
    file = directory / SHEET
    try:
        if not count:
            file.unlink(missing_ok=True)
        if not count or data.series or file.exists():
            return
        _write(data, count, file)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        prose(console, f"the report shows no images of the data ({reason})")


def _write(data: ImageData, count: int, file: Path) -> None:
    train = data.train
    part = Part(train.origin, train.labels, train.read, train.files, train.series)
    counts = torch.bincount(train.labels, minlength=data.num_classes).tolist()
    shown = spaced_rows(data.num_classes, CLASSES).tolist()
    most = min(count, MOST, max(counts[n] for n in shown))
    samples = {n: [_small(one) for one in label_samples(part, n, most)] for n in shown}
    title = f"{data.name}: training images of {' x '.join(map(str, data.input_shape))}"
    if len(shown) < data.num_classes:
        title += f", {len(shown)} of {data.num_classes} classes"
    while most:
        rows = [
            report.Row(
                printable(data.class_names[n]),
                counts[n],
                [one.numpy() for one in samples[n][:most]],
            )
            for n in shown
        ]
        report.contact_sheet(rows, file, title, printable(data.form))
        size = file.stat().st_size
        if size <= BYTES:
            return
        most = min(most - 1, max(1, most * BYTES // size))
    file.unlink()
    raise ValueError(f"one of each class takes more than {BYTES // 1000} kB")


def _small(image: Tensor) -> Tensor:
    """Return an image (C, H, W) of at most :data:`LARGEST` pixels in each direction.

    The sheet enlarges what is smaller by whole numbers. So images of more than half that size,
    which it would make too large, are brought to it.
    """
    largest = max(image.shape[1:])
    if largest <= LARGEST // 2:
        return image
    size = [max(1, round(side * LARGEST / largest)) for side in image.shape[1:]]
    way = "area" if largest > LARGEST else "bilinear"
    small = functional.interpolate(image[None].float(), size, mode=way)[0]
    return small.round().to(torch.uint8) if image.dtype == torch.uint8 else small
