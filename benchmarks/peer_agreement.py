r"""Agreement of this package's scores with other public implementations' for the same networks.

Scores random NAS-Bench-201 cells at full size (five cells a stage, 16 channels) on one probe batch
of CIFAR-10 and prints Spearman's rho with the values that others computed, score by score, with the
95 % interval over resampled cells. Cells without a path from image to logits have no score and are
left out; columns with "nbsz" exist for cells without dead branches only. Scores are kept in --out
and not computed twice.

    python -m benchmarks.peer_agreement --cifar10 cifar10.npz --peers nasbench201_peer_scores.csv \\
        --table nasbench201.csv [--count 300] [--scores naswot,zen] [--out peer_agreement.csv]

The .npz holds x_train (n, 32, 32, 3) uint8 and y_train (n,). --table gives the cells' text forms,
parameters and cost by index.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common import append_rows, header, npz_batch, say, task
from nas_search.proxies import PROXIES
from nas_search.spaces import SPACES

PEERS: dict[str, tuple[str, ...]] = {
    "params": ("params_M", "c10_nbsz_params"),
    "flops": ("macs_of_table", "c10_nbsz_flops"),
    "l2_norm": ("c10_nbsz_l2_norm",),
    "synflow": ("c10_synflow", "c10_nbsz_synflow"),
    "naswot": ("c10_naswot", "c10_nbsz_nwot"),
    "zen": ("c10_zen", "c10_nbsz_zen"),
    "snip": ("c10_nbsz_snip",),
    "grad_norm": ("c10_nbsz_grad_norm",),
    "plain": ("c10_nbsz_plain",),
    "fisher": ("c10_nbsz_fisher",),
    "grasp": ("c10_nbsz_grasp",),
    "jacob_cov": ("c10_nbsz_jacov",),
    "epe_nas": ("c10_nbsz_epe_nas",),
}
"""Columns to compare each score with."""

SPREAD = ("snip", "grad_norm", "plain", "fisher", "grasp", "jacob_cov", "epe_nas", "naswot")
"""Scores that depend on the batch: also compared between two seeds of ours."""

FACTS = ("params", "flops", "synflow", "l2_norm")
ROUNDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 1, (*FACTS, *SPREAD)),
    (0, 4, ("zen",)),
    (1, 1, SPREAD),
)
"""(seed, draws of initial weights, scores); the Zen-score's own definition averages 32 draws."""

COLUMNS = ("seed", "idx", "score", "value", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--scores", help="comma-separated; all by default")
    parser.add_argument("--out", type=Path, default=Path("outputs/peer_agreement.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = options.scores.split(",") if options.scores else list(PEERS)
    table = read_table(options.table)
    cells = np.random.default_rng(0).permutation(len(table))[: options.count].tolist()
    score_all(cells, table, wanted, options)
    report(cells, table, read_table(options.peers), wanted, options)


def score_all(
    cells: list[int], table: dict[int, dict[str, str]], wanted: list[str], options: Any
) -> None:
    """Append the scores of ``cells`` that the file does not hold yet."""
    known = read(options.out)
    space = SPACES.get("nasbench201").space()
    jobs = []
    for seed, draws, names in ROUNDS:
        base = task("nasbench201", npz_batch(options.cifar10, options.batch, seed))
        jobs.append((dataclasses.replace(base, seed=seed, repeats=draws), names))
    for job, names in jobs:
        for cell in cells:
            missing = tuple(n for n in names if n in wanted and (job.seed, cell, n) not in known)
            if not missing:
                continue
            start = process_time()
            scored = dataclasses.replace(job, proxies=missing).evaluate(
                space.parse(table[cell]["arch_str"])
            )
            scores = dict.fromkeys(missing, math.nan) | scored.scores
            seconds = process_time() - start
            append_rows(
                options.out, COLUMNS, [[job.seed, cell, *pair, seconds] for pair in scores.items()]
            )


def report(
    cells: list[int],
    table: dict[int, dict[str, str]],
    peers: dict[int, dict[str, str]],
    wanted: list[str],
    options: Any,
) -> None:
    """Print rho with every peer, and between our own two seeds."""
    ours = read(options.out)
    say(header(cells=len(cells), space="nasbench201, full size", n=options.batch))
    say("| score | peer | cells | Spearman [95 % interval] | exact | our seed 0 with seed 1 |")
    say("|---|---|---|---|---|---|")
    for name in wanted:
        own = agreement(
            [(ours.get((0, c, name), math.nan), ours.get((1, c, name), math.nan)) for c in cells]
        )
        for column in PEERS[name]:
            pairs = [
                (ours.get((0, c, name), math.nan), peer(column, table[c], peers[c])) for c in cells
            ]
            both = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
            digit = 0.006 if name == "flops" else 6e-6  # the last that is compared, halved
            exact = sum(abs(a / 1e6 - b) < digit for a, b in both)
            same = f"{exact} of {len(both)}" if name in ("params", "flops") else ""
            say(f"| {name} | {column} | {len(both)} | {agreement(pairs)} | {same} | {own} |")
    draws = {name: count for _, count, names in ROUNDS for name in names}
    for name in wanted:
        record = PROXIES.get(name)
        if draws[name] != record.repeats or options.batch != record.batch_size:
            say(
                f"{name}: n = {options.batch}, {draws[name]} draws; "
                f"its definition: n = {record.batch_size}, {record.repeats}."
            )


def peer(column: str, table: dict[str, str], peers: dict[str, str]) -> float:
    """Return the value of ``column``; NaN where it is missing."""
    if column == "params_M":
        return float(table[column])
    if (
        column == "macs_of_table"
    ):  # without its 3 an element for ReLU with batch-norm, 9 for pooling
        elements = 5 * (16 * 32 * 32 + 32 * 16 * 16 + 64 * 8 * 8)
        cell = table["arch_str"]
        extra = (3 * cell.count("nor_conv") + 9 * cell.count("avg_pool")) * elements
        # The table's count of the skeleton has 160,832 for what is no convolution or linear layer.
        # The table has six significant digits: equal costs must stay equal.
        return round(float(table["flops_M"]) - (extra + 160_832) / 1e6, 2)
    return float(peers[column]) if peers[column] else math.nan


def agreement(pairs: list[tuple[float, float]], draws: int = 1000) -> str:
    """Return Spearman's rho with its 95 % bootstrap interval; empty with fewer than ten pairs."""
    both = np.array([pair for pair in pairs if all(map(math.isfinite, pair))])
    if len(both) < 10:
        return ""
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(both), size=(draws, len(both)))
    rhos = [spearmanr(both[rows, 0], both[rows, 1]).statistic for rows in chosen]
    low, high = np.quantile(rhos, [0.025, 0.975])
    return f"{spearmanr(both[:, 0], both[:, 1]).statistic:.3f} [{low:.3f}, {high:.3f}]"


def read(path: Path) -> dict[tuple[int, int, str], float]:
    """Return values by (seed, index of the cell, score)."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            (int(row["seed"]), int(row["idx"]), row["score"]): float(row["value"])
            for row in csv.DictReader(file)
        }


def read_table(path: Path) -> dict[int, dict[str, str]]:
    """Return rows by index of the cell."""
    with path.open(newline="") as file:
        return {int(row["idx"]): row for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
