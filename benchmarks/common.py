"""What every benchmark shares: the header, interleaved timing, networks and probe batches."""

from __future__ import annotations

import csv
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_search.scoring import ScoringTask
from nas_search.spaces import SPACES


def header(**settings: Any) -> str:
    """Return the lines that say what was measured where, as Markdown."""
    if torch.cuda.is_available():
        hardware = torch.cuda.get_device_name(0)
    else:
        hardware = f"{_cpu_name()}, {torch.get_num_threads()} thread"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    chosen = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"Hardware: {hardware}. {versions}.\nSettings: {chosen}.\n"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def seconds(
    run: Callable[[], object], device: str, clock: Callable[[], float] = perf_counter
) -> float:
    """Return the time of one call by ``clock``, the device's work included."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    repeats: int,
    device: str,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, list[float]]:
    """Time all of ``runs`` in turn, ``repeats`` times, after one warm-up of each.

    Taking turns makes the ratios between them immune to a machine that is slower for a while.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run, device, clock))
    return times


def spread(values: list[float]) -> str:
    """Return median and quartiles, as ``1.23 [1.20, 1.31]``."""
    low, middle, high = statistics.quantiles(values * 2 if len(values) == 1 else values, n=4)
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def npz_batch(path: str, n: int, seed: int = 0) -> tuple[Tensor, Tensor, int]:
    """Return (images, labels, classes) of a probe batch from an .npz of arrays."""
    from nas_search.data import DATASETS, probe_batch  # needs libraries for pictures

    record = DATASETS.get("npz")
    data = record.load(record.options(path=path))
    return *probe_batch(data, n, None, seed), data.num_classes


def digits_batch(size: int, n: int, seed: int = 0) -> tuple[Tensor, Tensor, int]:
    """Return (images, labels, classes) of a probe batch of the embedded digits."""
    from nas_search.data import DATASETS, probe_batch

    record = DATASETS.get("digits")
    data = record.load(record.options(size=size))
    return *probe_batch(data, n, None, seed), data.num_classes


def task(space: str, batch: tuple[Tensor, Tensor, int], **macro: Any) -> ScoringTask:
    """Return a scoring task of the default score on ``batch``."""
    images, labels, classes = batch
    return ScoringTask(SPACES.get(space).space(), macro, images, labels, classes, ("gradalign",))


def genotypes(space: str, count: int, seed: int = 0) -> list[Any]:
    """Return ``count`` random genotypes of ``space``."""
    rng = np.random.default_rng(seed)
    drawn = SPACES.get(space).space()
    return [drawn.sample(rng) for _ in range(count)]


def say(text: str) -> None:
    """Print ``text`` at once, also when the output is a file."""
    print(text)
    sys.stdout.flush()


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Add ``rows`` to a CSV file of results, which starts with ``columns``."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(columns)
        writer.writerows(rows)
