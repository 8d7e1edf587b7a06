"""What keeping freed memory is worth on a CPU (nas_search.scoring.memory).

Scores the same random architectures in processes that keep freed memory and in processes that do
not, in turn: the setting cannot be taken back within a process.

    python -m benchmarks.freed_memory [--rounds 3]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from time import process_time

import torch

from benchmarks.common import digits_batch, genotypes, header, say, spread, task
from nas_search.scoring.memory import keep_freed_memory

CASES = (
    ("nasbench201", {"cells": 5, "channels": 16}, 32),
    ("darts", {"cells": 8, "channels": 16}, 32),
    ("darts", {"cells": 8, "channels": 16}, 16),
)


def measure(keep: bool) -> None:
    """Print the CPU seconds an architecture of each case, in a process of its own."""
    torch.set_num_threads(1)
    if keep and not keep_freed_memory():
        sys.exit("the C library of this machine is not glibc: nothing to measure")
    for space, macro, size in CASES:
        job = task(space, digits_batch(size, 64), **macro)
        first, *rest = genotypes(space, 5)
        job.scores(first)
        start = process_time()
        for genotype in rest:
            job.scores(genotype)
        print((process_time() - start) / len(rest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=("keep", "give back"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure == "keep")
        return
    torch.set_num_threads(1)
    times: dict[str, list[list[float]]] = {"keep": [], "give back": []}
    for _ in range(options.rounds):
        for way, rounds in times.items():
            command = [sys.executable, "-m", "benchmarks.freed_memory", "--measure", way]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rounds.append([float(line) for line in printed.split()])
    say(header(n=64, architectures=4, rounds=options.rounds))
    say("| network | images | CPU seconds giving back | keeping | factor |")
    say("|---|---|---|---|---|")
    for case, (space, macro, size) in enumerate(CASES):
        kept, given = ([r[case] for r in times[way]] for way in ("keep", "give back"))
        factors = [b / a for a, b in zip(kept, given, strict=True)]
        sizes = ", ".join(f"{key} {value}" for key, value in macro.items())
        say(
            f"| {space} ({sizes}) | {size} x {size} | {spread(given)} | {spread(kept)} "
            f"| {spread(factors)} |"
        )


if __name__ == "__main__":
    main()
