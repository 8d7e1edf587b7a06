"""What lower precision costs in rank agreement: Kendall's tau between scores of the same cells.

Random NAS-Bench-201 cells, each different as a network, are scored in single precision and in each
other precision, with the same weights and images. The yardstick is single precision with another
seed of weights: what is well below its noise does not count. Times are given in units of single
precision's, taken in turn.

    python -m benchmarks.precision [--cells 120] [--proxy gradalign] [--channels 8] [--size 16]
        [--n 32] [--stack 8] [--rounds 3] [--device cpu|cuda]

TF32 exists on a GPU only; on a CPU it is the same as single precision.
"""

from __future__ import annotations

import argparse
import dataclasses
from time import perf_counter, process_time

import numpy as np
import torch

from benchmarks.common import digits_batch, header, say, seconds, spread, task
from nas_search.core.device import PRECISIONS, set_precision
from nas_search.ranking.correlation import kendall_tau
from nas_search.scoring import ScoringTask
from nas_search.scoring.scorer import Scorer, stacks
from nas_search.spaces.nasbench201 import Nasbench201Space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=120)
    parser.add_argument("--proxy", default="gradalign")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--n", type=int, default=32)
    parser.add_argument("--stack", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(header(**vars(options)))
    job = task(
        "nasbench201", digits_batch(options.size, options.n), cells=1, channels=options.channels
    )
    job = dataclasses.replace(job, device=options.device, proxies=(options.proxy,)).to_device()
    cells = different(options.cells)
    tasks: dict[str, ScoringTask] = {
        **{precision: dataclasses.replace(job, precision=precision) for precision in PRECISIONS},
        "fp32, other weights": dataclasses.replace(job, seed=1),
    }
    scorers = {name: Scorer(one, options.stack) for name, one in tasks.items()}
    clock = process_time if options.device == "cpu" else perf_counter
    found: dict[str, np.ndarray] = {}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(options.rounds + 1):  # the first warms up
        for name, one in tasks.items():
            set_precision(one.precision)

            def run(name: str = name) -> None:
                found[name] = scores(scorers[name], cells, options)

            spent = seconds(run, options.device, clock)
            times[name] += [spent] if turn else []
    exact = found["fp32"]
    say("| precision | scored | tau with fp32 | largest relative difference | time, fp32 = 1 |")
    say("|---|---|---|---|---|")
    for name, values in found.items():
        both = np.isfinite(values) & np.isfinite(exact)
        tau = kendall_tau(values[both], exact[both])
        apart = np.abs(values[both] / exact[both] - 1).max()
        units = spread([a / b for a, b in zip(times[name], times["fp32"], strict=True)])
        say(f"| {name} | {both.sum()} of {len(cells)} | {tau:.4f} | {apart:.1e} | {units} |")


def different(count: int) -> list[object]:
    """Return random cells whose loss depends on the image, each another network."""
    space, rng = Nasbench201Space(), np.random.default_rng(0)
    found: dict[str, object] = {}
    while len(found) < count:
        cell = space.sample(rng)
        key = space.canonical(cell)
        if key != "dead":
            found.setdefault(key, cell)
    return list(found.values())


def scores(scorer: Scorer, cells: list[object], options: argparse.Namespace) -> np.ndarray:
    evaluations = [
        evaluation
        for some in stacks(len(cells), options.stack)
        for evaluation in scorer.evaluate(cells[some.start : some.stop])
    ]
    return np.array([e.scores.get(options.proxy, np.nan) for e in evaluations])


if __name__ == "__main__":
    main()
