"""Cost of one score against the number of images, of channels and of cells.

From one middle size, each is varied alone. A row gives the time of scoring one network in a
stack of --stack, and of one ordinary training forward and backward pass of the same
network on the same batch. All of a space is measured in turn in one run; on a CPU, processor time.

    python -m benchmarks.cost_curves [--space darts] [--size 16] [--proxy gradalign]
        [--stack 1] [--networks 4] [--rounds 5] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter, process_time

import torch
from torch import Tensor, nn

from benchmarks.common import digits_batch, genotypes, header, interleaved, say, spread, task
from benchmarks.gram_vs_loop import train
from benchmarks.stacks import in_stacks
from nas_search.core.device import set_precision
from nas_search.scoring.scorer import Scorer

MIDDLE = {
    "nasbench201": {"n": 64, "channels": 16, "cells": 3},
    "darts": {"n": 64, "channels": 16, "cells": 6},
}
VARIED = {
    "nasbench201": {"n": (16, 32, 64, 128), "channels": (8, 16, 32), "cells": (1, 3, 5)},
    "darts": {"n": (16, 32, 64, 128), "channels": (8, 16, 32), "cells": (3, 6, 12)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", choices=MIDDLE, action="append")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--proxy", default="gradalign")
    parser.add_argument("--stack", type=int, default=1)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_precision("fp32")
    say(header(**{key: value for key, value in vars(options).items() if key != "space"}))
    for space in options.space or MIDDLE:
        measure(space, options)


def measure(space: str, options: argparse.Namespace) -> None:
    chosen = genotypes(space, options.networks)
    sizes = {
        (key, value): {**MIDDLE[space], key: value}
        for key, values in VARIED[space].items()
        for value in values
    }
    runs: dict[str, Callable[[], object]] = {}
    for (key, value), sized in sizes.items():
        macro = {"cells": sized["cells"], "channels": sized["channels"]}
        job = task(space, digits_batch(options.size, sized["n"]), **macro)
        job = dataclasses.replace(job, device=options.device, proxies=(options.proxy,)).to_device()
        scorer = Scorer(job, options.stack)
        networks = [job.build(genotype) for genotype in chosen]
        runs[f"{key} {value}"] = partial(in_stacks, scorer, chosen, options.stack)
        runs[f"{key} {value}, training"] = partial(train_all, networks, job.images, job.labels)
    clock = process_time if options.device == "cpu" else perf_counter
    times = interleaved(runs, options.rounds, options.device, clock)
    say(f"{space}, otherwise {MIDDLE[space]}\n")
    say("| varied | ms per network | in units of training | in units of the middle size |")
    say("|---|---|---|---|")
    for key, value in sizes:
        scoring, step = times[f"{key} {value}"], times[f"{key} {value}, training"]
        middle = times[f"{key} {MIDDLE[space][key]}"]
        ms = 1000 * statistics.median(scoring) / len(chosen)
        units = spread([a / b for a, b in zip(scoring, step, strict=True)])
        share = spread([a / b for a, b in zip(scoring, middle, strict=True)])
        say(f"| {key} {value} | {ms:.1f} | {units} | {share} |")
    say("")


def train_all(networks: Sequence[nn.Module], images: Tensor, labels: Tensor) -> None:
    """Make an ordinary training step of each network."""
    for network in networks:
        train(network, images, labels)


if __name__ == "__main__":
    main()
