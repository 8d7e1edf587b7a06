r"""Agreement of this package's scores with other public implementations' for the same networks.

Takes the scores that ``python -m nas_search.rank`` wrote for full-size NAS-Bench-201 cells
(studies/study.sh, part field) and prints Spearman's rho with the values that others computed,
score by score, with the 95 % interval over resampled cells. What is compared is our first draw;
where there are more, the last column is what two of ours agree to. Cells without a path from image
to logits have no score and are left out; columns with "nbsz" exist for cells without dead branches
only.

    python -m studies.peer_agreement --scores outputs/study/nasbench201/field/scores.csv \\
        --peers nasbench201_peer_scores.csv --table nasbench201.csv

--table gives the cells' text forms, parameters and cost by index.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common import header, say

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    options = parser.parse_args()
    index = {row["arch_str"]: idx for idx, row in read_table(options.table).items()}
    report(read_scores(options.scores, index), read_table(options.table), read_table(options.peers))


def report(
    ours: dict[str, dict[int, list[float]]],
    table: dict[int, dict[str, str]],
    peers: dict[int, dict[str, str]],
) -> None:
    """Print rho with every peer, and between our own first two draws.

    Args:
        ours: draws by score and index of the cell, NaN where there is no score.
        table: the benchmark's rows by index.
        peers: the other implementations' rows by index.
    """
    say(header(space="nasbench201, full size", cells=max(map(len, ours.values()))))
    say("| score | peer | cells | Spearman [95 % interval] | exact | our two draws |")
    say("|---|---|---|---|---|---|")
    for name in PEERS:
        draws = ours.get(name, {})
        if not draws:
            continue
        between = agreement([(d[0], d[1]) for d in draws.values() if len(d) > 1])
        for column in PEERS[name]:
            theirs = {cell: peer(column, table[cell], peers[cell]) for cell in draws}
            pairs = [(d[0], theirs[cell]) for cell, d in draws.items()]
            both = [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
            digit = 0.006 if name == "flops" else 6e-6  # the last that is compared, halved
            exact = sum(abs(a / 1e6 - b) < digit for a, b in both)
            same = f"{exact} of {len(both)}" if name in ("params", "flops") else ""
            cells = (name, column, str(len(both)), agreement(pairs), same, between)
            say(f"| {' | '.join(cells)} |")


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


def read_scores(path: Path, index: dict[str, int]) -> dict[str, dict[int, list[float]]]:
    """Return draws by score and index of the cell."""
    found: dict[str, dict[int, list[float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name in PEERS:
                if name in row:
                    value = float(row[name]) if row[name] else math.nan
                    found.setdefault(name, {}).setdefault(index[row["genotype"]], []).append(value)
    return found


def read_table(path: Path) -> dict[int, dict[str, str]]:
    """Return rows by index of the cell."""
    with path.open(newline="") as file:
        return {int(row["idx"]): row for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
