"""How much faster a training step is with channels-last images and weights, by space and size.

Random cells of each space are built once in either format; their steps (forward, backward, SGD)
are timed in turn, by processor time of one thread. Reported is the time with channels-last over
that without, the median over cells with the smallest and the largest.

    python -m benchmarks.memory_format [--networks 4]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import process_time

import numpy as np
import torch
from torch.nn import functional

from benchmarks.common import header, interleaved, say
from benchmarks.counting import MACRO
from nas_search.spaces import SPACES

PLACES = [(space, size) for size in (16, 32) for space in ("darts", "nasbench201", "nasbench101")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(header(networks=options.networks, repeats=options.repeats))
    say("| space | images | ms per step | channels-last over channels-first |")
    say("|---|---|---|---|")
    for space, size in PLACES:
        batch = 64 if size == 16 else 32
        times, ratios = [], []
        for number in range(options.networks):
            runs = {str(last): step(space, size, batch, number, last) for last in (False, True)}
            for run in runs.values():
                run()
            taken = interleaved(runs, options.repeats, "cpu", process_time)
            first, last = (statistics.median(taken[name]) for name in runs)
            times.append(first)
            ratios.append(last / first)
        shown = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        ms = f"{1000 * statistics.median(times):.0f}"
        say(f"| {space} | {batch} of {size} x {size} | {ms} | {shown} |")


def step(space: str, size: int, batch: int, number: int, last: bool) -> Callable[[], None]:
    """Return a training step of a random cell."""
    there = SPACES.get(space).space()
    genotype = there.sample(np.random.default_rng(number))
    torch.manual_seed(number)
    network = there.build(genotype, (3, size, size), 10, **MACRO[space])
    images, labels = torch.randn(batch, 3, size, size), torch.randint(10, (batch,))
    if last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.02, 0.9)

    def run() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
