"""Throughput of scoring: the public way, one at a time, and stacks of K, in one table.

For random architectures of a space, the time of one network

training    one ordinary forward and backward pass of the batch, in train mode: the unit
loop        one backward pass per sample, then the Gram matrices, as the reference codes of this
            family do; nothing else
alone       built, initialized and scored by itself, as in a space that cannot build stacks
K           scored in a stack of K

for each of the scores asked for: by default one that reads Gram matrices only, and the default
score. Rows are of the same --networks; where K is more, of K, whose mean cost is another. All of a
table is measured in turn in one run; ratios are taken round by round. On a CPU, processor time
counts, one thread: it knows nothing of what else runs on the machine. Peak memory is the process's
resident set on a CPU, so far, and what torch allocated on a GPU. Calls are those of tensor
operations for one network, or one whole stack; on a GPU most launch a kernel.

    python -m benchmarks.stacks [--space nasbench201] [--size 32] [--n 64] [--most 256]
        [--networks 8] [--rounds 5] [--proxy gradalign] [--precision fp32|tf32|bf16]
        [--device cpu|cuda]

Networks are NAS-Bench-201's of full size (5 cells per stage, 16 channels), DARTS's of 8 cells of 16
channels and, when asked for, NAS-Bench-101's of 32 channels and others at their sizes in conf/. On
a CPU use --most 8: a stack of 8 takes some GB.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter, process_time
from typing import Any

import torch

from benchmarks.common import digits_batch, genotypes, header, interleaved, say, spread, task
from benchmarks.counting import MACRO, Calls
from benchmarks.gram_vs_loop import loop, train
from nas_search.core.device import PRECISIONS, set_precision
from nas_search.core.garbage import keep_imports
from nas_search.scoring import ScoringTask
from nas_search.scoring.scorer import Scorer

SPACES = {
    **MACRO,
    "nas_bench_macro": {"channels": 16},
    "transnas_micro": {"channels": 16, "stem_halvings": 0, "last_relu": True},
}


@dataclasses.dataclass
class Row:
    """One way to score: ``run`` treats ``networks`` of them, ``once`` one network or stack."""

    name: str
    score: str
    networks: int
    run: Callable[[], object]
    once: Callable[[], object]
    scorer: Scorer | None = None

    @property
    def label(self) -> str:
        """Its name, marked where memory ended and the stack was halved."""
        if self.scorer is None or self.scorer.most == int(self.name):
            return self.name
        return f"{self.name} (halved to {self.scorer.most})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", choices=SPACES, action="append")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--most", type=int, default=256)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--proxy", action="append")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.proxy = options.proxy or ["gradalign_i_layerwise", "gradalign"]
    torch.set_num_threads(1)
    set_precision(options.precision)
    keep_imports()  # as the commands do
    say(header(**{key: value for key, value in vars(options).items() if key != "space"}))
    for space in options.space or ("nasbench201", "darts"):
        measure(space, options)


def measure(space: str, options: argparse.Namespace) -> None:
    job = task(space, digits_batch(options.size, options.n), **SPACES[space])
    job = dataclasses.replace(job, device=options.device, precision=options.precision).to_device()
    chosen = genotypes(space, max(options.most, options.networks))
    table = common(job, chosen[: options.networks])
    for proxy in options.proxy:
        table += scored(dataclasses.replace(job, proxies=(proxy,)), chosen, options)
    clock = process_time if options.device == "cpu" else perf_counter
    memory = [peak(row.run, options.device) for row in table]
    found = interleaved(
        {str(number): row.run for number, row in enumerate(table)},
        options.rounds,
        options.device,
        clock,
    )
    times = [[s / row.networks for s in found[str(number)]] for number, row in enumerate(table)]
    say(f"{space} {SPACES[space]}\n")
    say(
        "| | score | ms per network | in units of training | loop's time over it | alone's time "
        "over it | networks/s | calls | peak memory, MB |"
    )
    say("|---|---|---|---|---|---|---|---|---|")
    by_name = {(row.name, row.score): own for row, own in zip(table, times, strict=True)}
    for number, (row, own) in enumerate(zip(table, times, strict=True)):
        alone = by_name.get(("alone", row.score), own)
        middle = statistics.median(own)
        say(
            f"| {row.label} | {row.score} | {1000 * middle:.1f} | {ratio(own, times[0])} | "
            f"{ratio(times[1], own)} | {ratio(alone, own) if row.score else '-'} | "
            f"{1 / middle:.2f} | {calls(row.once)} | {memory[number]:.0f} |"
        )
    say("")


def common(job: ScoringTask, chosen: list[Any]) -> list[Row]:
    """Return the training step and the loop over samples, of networks that are built already."""
    networks = [job.build(genotype) for genotype in chosen]

    def all_of(way: Callable[..., object]) -> Callable[[], object]:
        return lambda: [way(network, job.images, job.labels) for network in networks]

    return [
        Row(way.__name__ + ("ing" if way is train else ""), "", len(networks), all_of(way), once)
        for way in (train, loop)
        for once in [partial(way, networks[0], job.images, job.labels)]
    ]


def scored(job: ScoringTask, chosen: list[Any], options: argparse.Namespace) -> list[Row]:
    """Return one at a time and stacks of each size, by the score of ``job``."""
    (proxy,), few = job.proxies, chosen[: options.networks]
    rows = [
        Row(
            "alone",
            proxy,
            len(few),
            lambda: [job.evaluate(genotype) for genotype in few],
            partial(job.evaluate, few[0]),
        )
    ]
    for size in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        if size <= options.most:
            some = chosen[: max(size, len(few))]
            scorer = Scorer(job, size)
            run = partial(in_stacks, scorer, some, size)
            once = partial(scorer.evaluate, some[:size])
            rows.append(Row(str(size), proxy, len(some), run, once, scorer))
    return rows


def in_stacks(scorer: Scorer, chosen: list[Any], size: int) -> None:
    for first in range(0, len(chosen), size):
        scorer.evaluate(chosen[first : first + size])


def ratio(over: list[float], under: list[float]) -> str:
    """Return the median and the quartiles of the ratios, round by round."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def calls(run: Callable[[], object]) -> int:
    counted = Calls()  # type: ignore[no-untyped-call]  # TorchDispatchMode.__init__ has no types
    with counted:
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
