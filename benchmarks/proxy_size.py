"""What scoring a smaller network costs in rank agreement with the full-size one.

Scores the same random architectures with skeletons of several sizes and compares each size's
ranking with that of the published size (20 cells, 36 channels) on CIFAR-10 images, by Kendall's
tau and Spearman's rho. "another draw" is the full size itself with other initial weights and
images: the agreement that no reduction can be asked to beat. Architectures that are dead in either
of two sizes are left out of their comparison; the table says how many remain. Scores are kept in
--out and not computed twice.

    python -m benchmarks.proxy_size --cifar10 cifar10.npz [--count 64] [--out proxy_size.csv]

The .npz holds x_train (n, 32, 32, 3) uint8 and y_train (n,).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import statistics
from pathlib import Path
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from benchmarks.common import append_rows, digits_batch, genotypes, header, npz_batch, say, task
from nas_search.proxies import PROXIES as PROXY_RECORDS

PROXIES = ("gradalign", "gradalign_ii_layerwise", "gradalign_ii", "gradalign_i")

# name: (cells, channels, images, n, seed)
SIZES: dict[str, tuple[int, int, str, int, int]] = {
    "full size": (20, 36, "cifar10", 64, 0),
    "full size, another draw": (20, 36, "cifar10", 64, 1),
    "8 cells, 16 channels": (8, 16, "cifar10", 64, 0),
    "8 cells, 16 channels, digits 32 x 32": (8, 16, "digits32", 64, 0),
    "8 cells, 16 channels, digits 16 x 16": (8, 16, "digits16", 64, 0),
    "8 cells, 16 channels, digits 16 x 16, n = 32 (default)": (8, 16, "digits16", 32, 0),
    "8 cells, 8 channels, digits 16 x 16": (8, 8, "digits16", 64, 0),
    "5 cells, 16 channels, digits 16 x 16": (5, 16, "digits16", 64, 0),
}

COLUMNS = ("size", "number", "proxy", "score", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("outputs/proxy_size.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for size in sorted(SIZES, key=lambda name: SIZES[name][:2]):
        score_all(size, options)
    report(read(options.out), options)


def score_all(size: str, options: argparse.Namespace) -> None:
    """Append the scores of all architectures at ``size`` to the file."""
    known = read(options.out)
    cells, channels, images, n, seed = SIZES[size]
    if images == "cifar10":
        batch = npz_batch(options.cifar10, n, seed)
    else:
        batch = digits_batch(int(images.removeprefix("digits")), n, seed)
    for normalization in ("frozen", "sample"):
        chosen = tuple(name for name in PROXIES if definition(name) == normalization)
        job = dataclasses.replace(
            task("darts", batch, cells=cells, channels=channels),
            proxies=chosen,
            seed=seed,
            normalization=normalization,
        )
        for number, genotype in enumerate(genotypes("darts", options.count)):
            if (size, number, chosen[0]) in known:
                continue
            start = process_time()
            scores = dict.fromkeys(chosen, math.nan) | job.evaluate(genotype).scores
            seconds = process_time() - start
            append_rows(
                options.out, COLUMNS, [[size, number, *pair, seconds] for pair in scores.items()]
            )


def definition(proxy: str) -> str | None:
    """Return the batch-norm statistics that the proxy's definition asks for."""
    return PROXY_RECORDS.get(proxy).normalization


def read(path: Path) -> dict[tuple[str, int, str], tuple[float, float]]:
    """Return (score, seconds) by (size, number of the architecture, proxy)."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            (row["size"], int(row["number"]), row["proxy"]): (
                float(row["score"]),
                float(row["seconds"]),
            )
            for row in csv.DictReader(file)
        }


def report(
    rows: dict[tuple[str, int, str], tuple[float, float]], options: argparse.Namespace
) -> None:
    """Print the agreement of every size with the full size."""
    numbers = range(options.count)
    say(
        header(
            architectures=options.count, space="darts", ranking="tau [95 % interval] / rho (alive)"
        )
    )
    titles = [f"{name} ({definition(name)})" for name in PROXIES]
    say("| network that is scored | CPU seconds | " + " | ".join(titles) + " |")
    say("|---|---|" + "---|" * len(PROXIES))
    for size in SIZES:
        seconds = statistics.median(rows[size, number, PROXIES[0]][1] for number in numbers)
        agreement = []
        for name in PROXIES:
            pairs = np.array(
                [[rows[which, i, name][0] for which in ("full size", size)] for i in numbers]
            )
            full, small = pairs[np.isfinite(pairs).all(1)].T
            tau, rho = kendalltau(full, small).statistic, spearmanr(full, small).statistic
            low, high = bootstrap(full, small)
            agreement.append(f"{tau:.2f} [{low:.2f}, {high:.2f}] / {rho:.2f} ({len(full)})")
        say(f"| {size} | {seconds:.2f} | " + " | ".join(agreement) + " |")


def bootstrap(
    first: NDArray[np.float64], second: NDArray[np.float64], draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % interval of Kendall's tau over resampled architectures."""
    rng = np.random.default_rng(0)
    pairs = np.array([first, second])
    chosen = rng.integers(len(first), size=(draws, len(first)))
    low, high = np.quantile(
        [kendalltau(*pairs[:, rows]).statistic for rows in chosen], [0.025, 0.975]
    )
    return float(low), float(high)


if __name__ == "__main__":
    main()
