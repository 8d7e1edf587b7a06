"""Why the count of linear regions fails at initialization: it saturates at the number of samples.

Counts the distinct on/off patterns of all ReLUs of random NAS-Bench-201 cells: in the full-size
network on CIFAR-10 images, and in networks one channel wide on 5 x 5 crops as TE-NAS does; says
how many cells have as many patterns as there are samples and how the count ranks the cells.

    python -m studies.linear_regions --cifar10 cifar10.npz --table nasbench201.csv [--count 100]

The .npz holds x_train (n, 32, 32, 3) uint8 and y_train (n,); the .csv has the columns arch_str and
c10_test_200.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor

from benchmarks.common import header, npz_batch, say, task
from nas_search.passes.base import NARROW_IMAGE
from nas_search.passes.regions import distinct_patterns
from nas_search.scoring import ScoringTask
from nas_search.spaces import SPACES

SIZES = ("full size, 32 x 32 images", "one channel, 5 x 5 crops")
COUNTS = {SIZES[0]: (16, 64), SIZES[1]: (30, 100, 300, 1000, 3000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with Path(options.table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[: options.count]]
    accuracy = np.array([float(row["c10_test_200"]) for row in chosen])
    say(header(cells=len(chosen), space="nasbench201"))
    say("| network | samples | cells with a pattern per sample | median count | tau of the count |")
    say("|---|---|---|---|---|")
    job = task("nasbench201", npz_batch(options.cifar10, 64))
    for size in SIZES:
        for samples in COUNTS[size]:
            counts = np.array([patterns(job, row["arch_str"], size, samples) for row in chosen])
            tau = kendalltau(counts, accuracy).statistic
            full = f"{(counts == samples).mean():.0%}"
            middle = f"{np.median(counts):.0f}"
            say(f"| {size} | {samples} | {full} | {middle} | {tau:.2f} |")


def patterns(job: ScoringTask, text: str, size: str, samples: int) -> int:
    """Return the number of distinct patterns of one cell's network."""
    genotype = SPACES.get("nasbench201").space().parse(text)
    if size == SIZES[0]:
        (count,) = distinct_patterns(job.build(genotype), job.images[:samples])
    else:
        network = job.build_narrow(genotype, 0, "kaiming_normal")
        (count,) = distinct_patterns(network, crops(job.images, samples))
    return count


def crops(images: Tensor, samples: int) -> Tensor:
    """Return random one-channel crops (samples, 1, 5, 5) of ``images``."""
    rng = np.random.default_rng(0)
    _, tall, wide = NARROW_IMAGE
    n, channels, height, width = images.shape
    cut = []
    for _ in range(samples):
        i, c = rng.integers(n), rng.integers(channels)
        y, x = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
        cut.append(images[i, c, y : y + tall, x : x + wide])
    return torch.stack(cut)[:, None]


if __name__ == "__main__":
    main()
