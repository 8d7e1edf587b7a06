"""What bf16, channels-last, ``compile`` and CUDA graphs do to the time of a training epoch.

One DARTS network (DARTS_V2) is trained by ``fast`` in every form at once, an epoch of each in turn,
so that a machine that is slower for a while is so for all. The first epoch, in which the compiler
works, is told apart.

    python -m benchmarks.training_speed --cifar10 cifar10.npz --device cuda      # published size
    python -m benchmarks.training_speed --cifar10 cifar10.npz \
        --cells 4 --channels 8 --size 16 --images 2000                           # on a CPU
"""

from __future__ import annotations

import argparse
import statistics
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.common import header, say, spread
from benchmarks.reduced import cifar10, read_recipe, with_crop
from nas_search.data import ImageData
from nas_search.runs.architecture import Architecture
from nas_search.training.distributed import ProcessGroup
from nas_search.training.images import Images
from nas_search.training.loop import Epoch, Training
from nas_search.training.recipe import Recipe


def form(precision: str = "fp32", last: bool = False, **more: bool) -> dict[str, object]:
    """Return the values of a recipe that make a form."""
    return {"precision": precision, "channels_last": last, "cuda_graph": False, **more}


FORMS: dict[str, dict[str, object]] = {
    "fp32": form(),
    "fp32, channels-last": form(last=True),
    "bf16": form("bf16"),
    "bf16, channels-last": form("bf16", last=True),
    "fp32, compile": form(compile=True),
    "bf16, channels-last, compile": form("bf16", last=True, compile=True),
    "fp32, graph": form(cuda_graph=True),
    "bf16, channels-last, graph": form("bf16", last=True, cuda_graph=True),
}
"""What the recipe leaves to the device is said here. Graphs are for GPUs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--channels", type=int, default=36)
    parser.add_argument("--size", type=int, default=32, help="side of the images, pixels")
    parser.add_argument("--images", type=int, help="training images; all if not given")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=6, help="the first one is told apart")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    data = cifar10(options.cifar10, options.images, None, options.size)
    macro = {"cells": options.cells, "channels": options.channels}
    architecture = Architecture("darts", "DARTS_V2", data.input_shape, 10, macro, {})
    logs: dict[str, list[Epoch]] = {name: [] for name in options.forms}
    with TemporaryDirectory() as folder:
        trainings = {}
        for name in options.forms:
            recipe = read_recipe(
                "fast", epochs=options.epochs, batch_size=options.batch, **FORMS[name]
            )
            recipe = with_crop(recipe, options.size)
            trainings[name] = training(
                architecture, data, recipe, options.device, Path(folder) / name
            )
        for epoch in range(1, options.epochs + 1):
            for name, made in trainings.items():
                made.run(epoch, logs[name].append)
    shown = ("cells", "channels", "size", "batch", "epochs")
    say(header(images=len(data.train), **{name: getattr(options, name) for name in shown}))
    say(report(logs))


def training(
    architecture: Architecture, data: ImageData, recipe: Recipe, device: str, folder: Path
) -> Training:
    """Return a training that is not begun; every one starts from the same weights."""
    torch.manual_seed(0)
    folder.mkdir()
    rows = torch.arange(len(data.train))
    train, none = Images(data.train, rows, device), Images(data.train, rows[:0], device)
    return Training(
        architecture.build(), recipe, train, none, 0, folder, {}, ProcessGroup(0, 1, device)
    )


def report(logs: dict[str, list[Epoch]]) -> str:
    """Return seconds per epoch of each form, how many times faster than the first, its loss."""
    lines = ["| form | s per epoch, quartiles | times as fast | first epoch, s | loss at the end |"]
    lines.append("|---|---|---|---|---|")
    base = _seconds(next(iter(logs.values())))
    for name, log in logs.items():
        own = _seconds(log)
        ratio = statistics.median(b / o for b, o in zip(base[1:], own[1:], strict=True))
        lines.append(
            f"| {name} | {spread(own[1:])} | {ratio:.2f} | {own[0]:.0f} | {log[-1].loss:.3f} |"
        )
    return "\n".join(lines)


def _seconds(log: list[Epoch]) -> list[float]:
    ends = [0.0, *(epoch.seconds for epoch in log)]
    return [after - before for before, after in pairwise(ends)]


if __name__ == "__main__":
    main()
