"""Whole populations at once: K candidates in one forward and one backward pass.

The initial weights follow from (seed, draw, parameter name) alone and a name says where a parameter
stands, so candidates share the weights of whatever operation they have in common at one place. K of
them fold into the batch dimension, K n images, and no candidate sees another's samples: a score is
that of the network built alone, but for rounding. What is shared is made once for the run.

One thing depends on K: the last digits, since libraries sum in another order for another batch. So
which candidates are scored together follows from what was asked for at once and from nothing else,
neither the number of workers nor an interruption (:func:`stacks`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter

import torch

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.gradients import Scheme
from nas_search.passes import (
    PASSES_OF_ALL,
    WHOLE,
    DeadNetwork,
    Depth,
    Facts,
    Outcome,
    PassOfAll,
    Subject,
)
from nas_search.passes.regions import THIN_IMAGE
from nas_search.proxies import Measurement
from nas_search.scoring.pool import ModulePool
from nas_search.scoring.task import Candidate, Round, ScoringTask, Tally
from nas_search.spaces import StackedNetwork, builds_stacked
from nas_search.stacked.candidates import candidates_of

MAX_CACHED_POOLS = 8
"""Sets of initialized modules that are kept, one for each draw and distribution."""


def can_stack(task: ScoringTask) -> bool:
    """Say whether candidates of ``task`` can be scored together.

    The space must know how to build populations, and the scores must come from passes that take
    them; all others are scored one at a time. What needs no network folds nothing.
    """
    kinds = {kind for one in task.rounds() for kind in one.kinds} - {Facts}
    return builds_stacked(task.space) and set() < kinds <= {*PASSES_OF_ALL, Depth}


def stacks(count: int, size: int, start: int = 0, stop: int | None = None) -> Iterator[range]:
    """Yield which of ``count`` candidates, asked for at once, are scored together.

    Populations begin at multiples of ``size`` wherever one starts: those with a candidate in
    [start, stop) are yielded whole.
    """
    stop = count if stop is None else min(stop, count)
    for begin in range(start - start % size, stop, size):
        yield range(begin, min(begin + size, count))


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether ``error`` is a lack of memory, of a GPU or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What torch's CPU allocator says; it has no class of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


class StackScorer:
    """Scores candidates of a task together and keeps what they share.

    Args:
        task: what is scored and how, on its device.
        most: number of candidates folded into one pass at most; fewer where memory ends.
    """

    def __init__(self, task: ScoringTask, most: int) -> None:
        self.most = most
        self._task = task
        self._folds = can_stack(task)
        self._pools: OrderedDict[tuple[int, Scheme], ModulePool] = OrderedDict()

    def evaluate(self, genotypes: Sequence[Hashable]) -> list[Evaluation]:
        """Return the evaluation of each genotype; whatever goes wrong with one is a value.

        Constraints are checked first, and a genotype that is given twice is scored once.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        if not self._folds:
            return [self._task.evaluate(genotype) for genotype in genotypes]
        start = perf_counter()
        candidates = {genotype: self._task.candidate(genotype) for genotype in genotypes}
        alike: dict[Hashable, list[Candidate]] = {}
        for candidate in candidates.values():
            if not candidate.violation:
                skeleton = self._task.space.skeleton(candidate.genotype)
                alike.setdefault(skeleton, []).append(candidate)
        tallies: dict[Hashable, Tally] = {}
        for group in alike.values():
            tallies |= self._scored(group)
        seconds = (perf_counter() - start) / max(1, len(genotypes))
        nothing = self._task.tally()
        return [
            candidates[genotype].evaluation(tallies.get(genotype, nothing), seconds)
            for genotype in genotypes
        ]

    def _scored(self, candidates: list[Candidate]) -> dict[Hashable, Tally]:
        """Return the tallies of candidates of one skeleton, in as many passes as memory asks."""
        found: dict[Hashable, Tally] = {}
        waiting = candidates
        while waiting:
            some, waiting = waiting[: self.most], waiting[self.most :]
            try:
                found |= self._together(some)
                continue
            except InputError:
                raise
            except Exception as error:
                if len(some) == 1:
                    found[some[0].genotype] = self._task.tally()
                    found[some[0].genotype].fail(error)
                    continue
                full = is_out_of_memory(error)
            # Not in the handler: the traceback would keep what the failed pass holds alive.
            if full:
                self.most = len(some) // 2
                torch.cuda.empty_cache()
                waiting = some + waiting
            else:  # one of them fails: alone, it fails alone
                for candidate in some:
                    found |= self._scored([candidate])
        return found

    def _together(self, candidates: list[Candidate]) -> dict[Hashable, Tally]:
        """Score candidates of one skeleton in one pass for each round of the task."""
        tallies = {candidate.genotype: self._task.tally() for candidate in candidates}
        for one in self._task.rounds():
            measurements = self._measured(candidates, one)
            for candidate, measurement in zip(candidates, measurements, strict=True):
                tallies[candidate.genotype].take(measurement, one.records)
        return tallies

    def _measured(self, candidates: list[Candidate], one: Round) -> list[Measurement]:
        """Return what one round measures of each candidate; of a dead one, why there is nothing."""
        facts = [self._task.facts(candidate, one.draw) for candidate in candidates]
        if set(one.kinds) == {Facts}:
            return [Measurement(fact) for fact in facts]
        network = self._network(candidates, one)
        outcomes: dict[frozenset[type], Sequence[Outcome]] = {}
        outcomes[frozenset({Depth})] = [_depth(depth) for depth in network.depths]
        wanted: dict[PassOfAll, set[type]] = {}
        for kind in one.kinds:
            if kind in PASSES_OF_ALL:
                wanted.setdefault(PASSES_OF_ALL[kind], set()).add(kind)
        for run, kinds in wanted.items():
            whole = not WHOLE.isdisjoint(kinds)
            seen = self._network(candidates, one, whole=True) if whole else network
            subject = self._subject(candidates, one, seen)
            outcomes[frozenset(kinds)] = self._outcomes(run, subject, frozenset(kinds))
        return [
            _measurement(fact, {kinds: of_all[number] for kinds, of_all in outcomes.items()})
            for number, fact in enumerate(facts)
        ]

    def _network(
        self, candidates: list[Candidate], one: Round, whole: bool = False
    ) -> StackedNetwork:
        """Return the network of all candidates, with all of their branches where ``whole``."""
        task = self._task
        return task.space.build_stacked(
            [candidate.genotype for candidate in candidates],
            self._pool(one.draw, one.init),
            task.input_shape,
            task.num_classes,
            whole=whole,
            **task.macro,
        )

    def _thin(self, candidates: list[Candidate], one: Round) -> StackedNetwork:
        """Return the cells of all candidates in the thinnest network, for tiny crops of images."""
        task = self._task
        return task.space.build_stacked(
            [candidate.genotype for candidate in candidates],
            self._pool(one.draw, one.init),
            THIN_IMAGE,
            task.num_classes,
            whole=True,
            **task.thin,
        )

    def _subject(self, candidates: list[Candidate], one: Round, network: StackedNetwork) -> Subject:
        """Return what the passes of one round look at."""
        task, how = self._task, one.how
        return Subject(
            network,
            task.images,
            task.labels,
            how.normalization,
            how.parameters,
            how.seed,
            partial(self._thin, candidates, one),
            how.precision,
        )

    def _outcomes(
        self, run: PassOfAll, subject: Subject, kinds: frozenset[type]
    ) -> Sequence[Outcome]:
        """Return what one pass gives of each candidate."""
        try:
            return run(subject, kinds)
        except InputError:
            raise
        except Exception as error:
            if (
                len(candidates_of(subject.network).all) > 1
            ):  # smaller populations will say whose failure it is
                raise
            # Without its traceback, whose frames would hold the pass's tensors.
            return [error.with_traceback(None)]

    def _pool(self, draw: int, init: Scheme) -> ModulePool:
        key = draw, init
        if key not in self._pools:
            pool = ModulePool(self._task.device, self._task.seed, init, draw)
            self._pools[key] = pool
            if len(self._pools) > MAX_CACHED_POOLS:
                self._pools.popitem(last=False)
        self._pools.move_to_end(key)
        return self._pools[key]


def _depth(layers: int | None) -> Outcome:
    if layers is None:
        return DeadNetwork("the logits do not depend on the image")
    return [Depth(layers)]


def _measurement(facts: Facts, outcomes: Mapping[frozenset[type], Outcome]) -> Measurement:
    """Return what is known of one candidate, in the form that a network alone is measured in."""
    results: list[object] = [facts]
    failures: dict[type, Exception] = {}
    for kinds, outcome in outcomes.items():
        if isinstance(outcome, Exception):
            failures |= dict.fromkeys(kinds, outcome)
        else:
            results += outcome
    return Measurement(*results, failures=failures)
