"""What scoring a smaller network costs in rank agreement with the full-size one.

Scores the same random architectures with skeletons of several sizes and compares each size's
ranking with that of the published size (20 cells, 36 channels) on CIFAR-10 images, by Kendall's tau and Spearman's
rho. "another draw" is the full size itself with other initial weights and images: the agreement
that no reduction can be asked to beat. Scores are kept in --out and not computed twice.

    python -m benchmarks.proxy_size --cifar10 cifar10.npz [--count 64] [--out proxy_size.csv]

The .npz holds x_train (n, 32, 32, 3) uint8 and y_train (n,).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import statistics
from pathlib import Path
from time import process_time
from typing import Any

import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.common import digits_batch, genotypes, header, npz_batch, say, task
from nas_search.scoring.memory import keep_freed_memory

PROXIES = ("gradalign", "gradalign_i", "gradalign_ii", "gradalign_ii_layerwise")

# name: (cells, channels, images, n, seed)
SIZES: dict[str, tuple[int, int, str, int, int]] = {
    "full size": (20, 36, "cifar10", 64, 0),
    "full size, another draw": (20, 36, "cifar10", 64, 1),
    "8 cells, 16 channels": (8, 16, "cifar10", 64, 0),
    "8 cells, 16 channels, digits 32 x 32": (8, 16, "digits32", 64, 0),
    "8 cells, 16 channels, digits 16 x 16 (default)": (8, 16, "digits16", 64, 0),
    "8 cells, 16 channels, digits 16 x 16, n = 32": (8, 16, "digits16", 32, 0),
    "8 cells, 8 channels, digits 16 x 16": (8, 8, "digits16", 64, 0),
    "5 cells, 16 channels, digits 16 x 16": (5, 16, "digits16", 64, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("outputs/proxy_size.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    known = read(options.out)
    for size in sorted(SIZES, key=lambda name: SIZES[name][:2]):
        score_all(size, options, known)
    report(read(options.out), options)


def score_all(size: str, options: Any, known: dict[tuple[str, int], dict[str, float]]) -> None:
    """Append the scores of all architectures at ``size`` to the file."""
    cells, channels, images, n, seed = SIZES[size]
    if images == "cifar10":
        batch = npz_batch(options.cifar10, n, seed)
    else:
        batch = digits_batch(int(images.removeprefix("digits")), n, seed)
    job = task("darts", batch, cells=cells, channels=channels)
    job = dataclasses.replace(job, proxies=PROXIES, seed=seed)
    for number, genotype in enumerate(genotypes("darts", options.count)):
        if (size, number) in known:
            continue
        start = process_time()
        scores = job.scores(genotype)
        row = [size, number, process_time() - start, *(scores[name] for name in PROXIES)]
        new = not options.out.exists()
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["size", "number", "seconds", *PROXIES])
            writer.writerow(row)


def read(path: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Return the rows scored so far by (size, number of the architecture)."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            (row["size"], int(row["number"])): {k: float(row[k]) for k in ("seconds", *PROXIES)}
            for row in csv.DictReader(file)
        }


def report(rows: dict[tuple[str, int], dict[str, float]], options: Any) -> None:
    """Print the agreement of every size with the full size."""
    numbers = range(options.count)
    say(header(architectures=options.count, space="darts", ranking="tau / rho with the full size"))
    say("| network that is scored | CPU seconds | " + " | ".join(PROXIES) + " |")
    say("|---|---|" + "---|" * len(PROXIES))
    for size in SIZES:
        seconds = statistics.median(rows[size, number]["seconds"] for number in numbers)
        agreement = []
        for name in PROXIES:
            full, small = (
                [rows[which, number][name] for number in numbers] for which in ("full size", size)
            )
            tau, rho = kendalltau(full, small).statistic, spearmanr(full, small).statistic
            agreement.append(f"{tau:.2f} / {rho:.2f}")
        say(f"| {size} | {seconds:.2f} | " + " | ".join(agreement) + " |")


if __name__ == "__main__":
    main()
