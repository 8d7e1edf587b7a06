"""Cost of scoring candidates together against one at a time, for K candidates a pass.

For random architectures of a space, the time of one network in a population of K, in units of the
time of one network scored alone: built, initialised and measured anew, as in a space that cannot
build populations. All of a table is measured in turn in one run; ratios are taken round by round.
On a CPU, processor time counts, one thread: it knows nothing of what else runs on the machine.
Peak memory is the process's resident set on a CPU and what torch allocated on a GPU. Calls are
those of tensor operations for one whole population; on a GPU most are the launch of a kernel.

    python -m benchmarks.population [--space nasbench201] [--size 32] [--n 64] [--most 256]
        [--rounds 5] [--proxy gradalign] [--device cpu|cuda]

Networks are NAS-Bench-201's of full size (5 cells a stage, 16 channels), DARTS's of 8 cells of 16
channels and, when asked for, NAS-Bench-101's of 32 channels. On a CPU use --most 8: a population of
8 takes some GB.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import statistics
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.common import digits_batch, genotypes, header, interleaved, say, spread, task
from nas_search.scoring.population import PopulationScorer

MACRO = {
    "nasbench201": {"cells": 5, "channels": 16},
    "darts": {"cells": 8, "channels": 16},
    "nasbench101": {"modules_per_stack": 3, "channels": 32},
}


class Calls(TorchDispatchMode):
    """Counts the calls of tensor operations."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", choices=MACRO, action="append")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--most", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--proxy", default="gradalign")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(header(**{key: value for key, value in vars(options).items() if key != "space"}))
    for space in options.space or ("nasbench201", "darts"):
        measure(space, options)


def measure(space: str, options: argparse.Namespace) -> None:
    job = task(space, digits_batch(options.size, options.n), **MACRO[space])
    job = dataclasses.replace(job, device=options.device, proxies=(options.proxy,)).to_device()
    sizes = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256) if k <= options.most]
    chosen = genotypes(space, max(sizes))
    scorers = {size: PopulationScorer(job, size) for size in sizes}

    def alone() -> None:
        for genotype in chosen[: min(8, len(chosen))]:
            job.evaluate(genotype)

    def together(size: int) -> Callable[[], object]:
        # As many networks as alone where the population is smaller than that.
        count = max(size, min(8, len(chosen)))
        return lambda: [
            scorers[size].evaluate(chosen[first : first + size]) for first in range(0, count, size)
        ]

    per_run = {"alone": min(8, len(chosen))}
    runs: dict[str, Callable[[], object]] = {"alone": alone}
    for size in sizes:
        runs[str(size)] = together(size)
        per_run[str(size)] = max(size, min(8, len(chosen)))
    clock = process_time if options.device == "cpu" else perf_counter
    memory = {name: peak(run, options.device) for name, run in runs.items()}
    times = {
        name: [seconds / per_run[name] for seconds in found]
        for name, found in interleaved(runs, options.rounds, options.device, clock).items()
    }
    say(f"{space} {MACRO[space]}\n")
    say("| K | ms a network | time in units of alone | networks/s | calls | peak memory, MB |")
    say("|---|---|---|---|---|---|")
    for name, found in times.items():
        ratios = [mine / other for mine, other in zip(found, times["alone"], strict=True)]
        middle = statistics.median(found)
        run = (lambda: job.evaluate(chosen[0])) if name == "alone" else None
        counted = calls(run or (lambda name=name: scorers[int(name)].evaluate(chosen[: int(name)])))
        ended = "" if name == "alone" or scorers[int(name)].most == int(name) else " (halved)"
        say(
            f"| {name}{ended} | {1000 * middle:.1f} | {spread(ratios)} | {1 / middle:.2f} | "
            f"{counted} | {memory[name]:.0f} |"
        )
    say("")


def calls(run: Callable[[], object]) -> int:
    with Calls() as counted:
        run()
    return counted.count


def peak(run: Callable[[], object], device: str) -> float:
    """Return the peak memory so far, in MB, once ``run`` has run; larger runs come later."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() / 1e6
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
