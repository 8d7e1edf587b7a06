"""Tensor calls, launches and host time of one stack of the default score, without its arithmetic.

On the meta device tensors have shapes and no values: the code that a GPU would run is run, at full
size, and only Python and the dispatch of operations take time. Numbers that would be read back from
the device are ones, so that every candidate lives.

calls       calls of tensor operations, views included
launches    those that compute something: on a GPU most launch a kernel, some a few
reads       numbers or lists that are read back from the device
host ms     processor time of scoring the stack, one thread

    python -m benchmarks.population_calls [--space darts] [--k 64] [--k 8] [--n 32] [--size 32]
        [--channels 16] [--cells 8] [--rounds 5]
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.common import digits_batch, genotypes, header, say, spread, task
from benchmarks.counting import MACRO, Launches
from nas_search.scoring.scorer import Scorer


class Counts(NamedTuple):
    """What one stack takes."""

    calls: int
    launches: int
    reads: int


@contextmanager
def ones_read() -> Iterator[list[tuple[int, ...]]]:
    """Let tensors without values be read as ones; yields the shapes of those that were."""
    reads: list[tuple[int, ...]] = []
    own = Tensor.tolist, Tensor.item

    def read(tensor: Tensor) -> Any:
        if tensor.device.type != "meta":
            return own[0](tensor)
        reads.append(tuple(tensor.shape))
        return torch.ones(tensor.shape).tolist()

    Tensor.tolist, Tensor.item = read, read  # type: ignore[method-assign, assignment]
    try:
        yield reads
    finally:
        Tensor.tolist, Tensor.item = own  # type: ignore[method-assign]


class Population:
    """Random candidates of a space on the meta device.

    Args:
        space: name of the space.
        candidates: their number K.
        n: images.
        size: side of the images.
        macro: sizes of the skeleton.
    """

    def __init__(self, space: str, candidates: int, n: int, size: int, **macro: Any) -> None:
        job = task(space, digits_batch(size, n), **macro)
        job = dataclasses.replace(job, device="meta").to_device()
        self._scorer = Scorer(job, candidates)
        self._genotypes = genotypes(space, candidates)
        self.score()  # modules are made

    def score(self) -> None:
        """Score the stack.

        Raises:
            RuntimeError: a candidate has no score: the stack did not run as one.
        """
        with ones_read():
            evaluations = self._scorer.evaluate(self._genotypes)
        reasons = [one.reason for one in evaluations if one.status != "ok"]
        if reasons:
            raise RuntimeError(f"a candidate has no score: {reasons[0]}")

    def counts(self) -> Counts:
        """Return what the stack takes."""
        counted = Launches()  # type: ignore[no-untyped-call]  # TorchDispatchMode.__init__
        with ones_read() as reads, counted:
            self._scorer.evaluate(self._genotypes)
        return Counts(counted.count, counted.launches, len(reads))

    def seconds(self) -> float:
        """Return the processor time of scoring it once."""
        start = process_time()
        self.score()
        return process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", choices=MACRO, action="append")
    parser.add_argument("--k", type=int, action="append")
    parser.add_argument("--n", type=int, default=32)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int)
    parser.add_argument("--cells", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(header(n=options.n, size=options.size, rounds=options.rounds))
    say("| space | K | calls | launches | reads | host ms |")
    say("|---|---|---|---|---|---|")
    for space in options.space or ("darts", "nasbench201"):
        sizes = {key: getattr(options, key) for key in ("channels", "cells")}
        macro = {**MACRO[space], **{key: own for key, own in sizes.items() if own is not None}}
        for k in options.k or (8, 64):
            stack = Population(space, k, options.n, options.size, **macro)
            counts = stack.counts()
            times = spread([1000 * stack.seconds() for _ in range(options.rounds)])
            say(f"| {space} | {k} | {' | '.join(f'{own:,}' for own in counts)} | {times} |")


if __name__ == "__main__":
    main()
