"""Memory of the process over many candidates: it must not grow.

Scores random candidates in this process as a search does and prints the resident set on the way.
Networks are small, so that many are done soon: what would grow is kept a candidate, whatever its
size. On a GPU the memory that torch has allocated is printed too.

    python -m benchmarks.memory_flat [--space nasbench201] [--candidates 10000] [--stack 1]
        [--proxy gradalign] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

import torch

from benchmarks.common import digits_batch, genotypes, header, say, task
from nas_search.scoring.scorer import Scorer, stacks

SMALL = {
    "nasbench201": {"cells": 1, "channels": 4},
    "darts": {"cells": 3, "channels": 2},
    "nasbench101": {"modules_per_stack": 1, "channels": 8},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", choices=SMALL, default="nasbench201")
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--stack", type=int, default=1)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--proxy", default="gradalign")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(header(**vars(options), size=8, **SMALL[options.space]))
    job = task(options.space, digits_batch(8, options.n), **SMALL[options.space])
    job = dataclasses.replace(job, device=options.device, proxies=(options.proxy,)).to_device()
    scorer = Scorer(job, options.stack)
    chosen = genotypes(options.space, options.candidates)
    marks = [int(share * options.candidates) for share in (0.02, 0.1, 0.25, 0.5, 0.75, 1)]
    say("| candidates | resident set, MB | torch on the GPU, MB |")
    say("|---|---|---|")
    done = 0
    for some in stacks(len(chosen), options.stack):
        done += len(scorer.evaluate(chosen[some.start : some.stop]))
        while marks and done >= marks[0]:
            marks.pop(0)
            gpu = f"{torch.cuda.memory_allocated() / 1e6:.1f}" if options.device != "cpu" else "-"
            say(f"| {done} | {resident():.1f} | {gpu} |")


def resident() -> float:
    """Return the resident set of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
