"""Scores a stack of K candidates in one forward and one backward pass.

The initial weights follow from (seed, draw, parameter name) alone and a name tells where a
parameter stands, so candidates share the weights of whatever operation they have in common at one
place. K of them fold into the batch dimension, K n images, and no candidate sees another's samples:
a score is that of the network built alone, but for rounding. What is shared is made once per run.

A space that does not build stacked networks is scored by stacks of one, its ordinary networks.

One thing depends on K: the last digits, since libraries sum in another order for another batch. So
which candidates are scored together follows from what was asked for at once and from nothing else,
neither the number of workers nor an interruption (:func:`stacks`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from itertools import groupby
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.memory import is_out_of_memory
from nas_search.passes import pass_of
from nas_search.scoring.measure import measure_stack
from nas_search.scoring.networks import Build, StackedNetworks, ordinary_networks
from nas_search.scoring.tally import Candidate, Tally, take_scores
from nas_search.spaces import builds_stacked

if TYPE_CHECKING:
    from nas_search.scoring.task import ScoringTask


def can_stack(task: ScoringTask) -> bool:
    """Whether candidates of ``task`` are scored together.

    The space must build stacked networks, and a score must run one.
    """
    kinds = {kind for one in task.rounds() for kind in one.kinds}
    return builds_stacked(task.space) and any(pass_of(kind).network != "none" for kind in kinds)


def stacks(count: int, size: int, start: int = 0, stop: int | None = None) -> Iterator[range]:
    """Yield which of ``count`` candidates, asked for at once, are scored together.

    Stacks begin at multiples of ``size`` wherever one starts: those with a candidate in
    [start, stop) are yielded whole.
    """
    stop = count if stop is None else min(stop, count)
    for begin in range(start - start % size, stop, size):
        yield range(begin, min(begin + size, count))


class Scorer:
    """Scores candidates of a task and keeps what they share.

    Args:
        task: what is scored and how, on its device.
        most: upper bound on candidates per stack; fewer where memory ends, and one where the task's
            candidates cannot be stacked.
        build: builds their networks; by default stacked ones where the space does.

    Attributes:
        most: the bound as it is now.
    """

    def __init__(self, task: ScoringTask, most: int, build: Build | None = None) -> None:
        self.most = most if can_stack(task) else 1
        self._task = task
        ordinary = partial(ordinary_networks, task)
        self._build = build or (StackedNetworks(task) if can_stack(task) else ordinary)

    def evaluate(self, genotypes: Sequence[Hashable]) -> list[Evaluation]:
        """Return the evaluation of each genotype; whatever goes wrong with one is a value.

        Constraints are checked first, and a genotype that is given twice is scored once.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        start = perf_counter()
        task = self._task
        candidates = {genotype: task.candidate(genotype) for genotype in genotypes}
        alike: dict[Hashable, list[Candidate]] = {}
        for candidate in candidates.values():
            if not candidate.violation:
                skeleton = task.space.skeleton(candidate.genotype)
                alike.setdefault(skeleton, []).append(candidate)
        tallies: dict[Hashable, Tally] = {}
        for group in alike.values():
            tallies |= self._scored(group)
        seconds = (perf_counter() - start) / max(1, len(genotypes))
        nothing = task.tally()
        return [
            candidates[genotype].evaluation(tallies.get(genotype, nothing), seconds)
            for genotype in genotypes
        ]

    def _scored(self, candidates: list[Candidate]) -> dict[Hashable, Tally]:
        """Return the tallies of candidates of one skeleton, in as many stacks as memory asks."""
        tallies: dict[Hashable, Tally] = {}
        waiting = candidates
        while waiting:
            stack, waiting = waiting[: self.most], waiting[self.most :]
            try:
                tallies |= self._together(stack)
                continue
            except InputError:
                raise
            except (Exception, SystemExit) as error:
                if len(stack) == 1:  # its failures are values: this one is ours
                    raise
                full = is_out_of_memory(error)
            # Not in the handler: the traceback would keep what the failed pass holds alive.
            if full:
                self.most = len(stack) // 2
                torch.cuda.empty_cache()
                waiting = stack + waiting
            else:  # one of them fails: alone, it fails alone
                for candidate in stack:
                    tallies |= self._together([candidate])
        return tallies

    def _together(self, stack: list[Candidate]) -> dict[Hashable, Tally]:
        """Score candidates of one skeleton in one stack, round by round of the task."""
        task = self._task
        tallies = {candidate.genotype: task.tally() for candidate in stack}
        for (draw, init), rounds in groupby(task.rounds(), lambda one: (one.draw, one.init)):
            networks = self._build(list(tallies), draw, init)
            facts = [task.facts(candidate, draw) for candidate in stack]
            for one in rounds:
                measurements = measure_stack(
                    networks, task.images, task.labels, one.how, one.kinds, facts
                )
                take_scores(tallies.values(), measurements, one.records)
        return tallies
