"""The loop of a search: ask, evaluate, record, tell, until the budget is spent.

A search is determined by its seed and the evaluations that it is told, so the record of evaluations
is the checkpoint: a continued search asks for the same genotypes again and takes their evaluations
from the record until it ends.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal, NoReturn, Protocol

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.core.text import quote
from nas_search.search.algorithm import Algorithm, Step
from nas_search.search.budget import Budget, Spent

GIVE_UP_AFTER = {"rejected": 10_000, "scored": 100}
"""Rejected or scored candidates without a single score after which a run ends with an error."""

Stop = Literal["budget", "exhausted", "interrupted"]


Evaluate = Callable[[Sequence[Hashable], int, int], Iterable[Evaluation]]
"""Maps (genotypes of one ask, start, stop) to the evaluations of genotypes[start:stop].

They are yielded in order, each as soon as it is ready. All genotypes are passed, so that grouping
them for evaluation need not depend on where an earlier run was interrupted or a budget ends.
"""


class Record(Protocol):
    """A store of evaluations."""

    def append(self, evaluation: Evaluation, elapsed: float) -> None:
        """Store ``evaluation``, made ``elapsed`` seconds into the search, before it is told."""
        ...


@dataclass(frozen=True)
class SearchOutcome:
    """The result of a search.

    Attributes:
        evaluations: every evaluation, in the order in which the candidates were proposed.
        seconds: search time, summed over continued runs.
        stop: reason why it ended.
    """

    evaluations: list[Evaluation]
    seconds: float
    stop: Stop


def run_loop(
    algorithm: Algorithm,
    evaluate: Evaluate,
    budget: Budget,
    record: Record,
    *,
    train: Evaluate | None = None,
    recorded: Sequence[Evaluation] = (),
    elapsed: float = 0.0,
    batch: int = 1,
    ahead: int = 1,
    progress: Callable[[Evaluation, float], None] | None = None,
) -> SearchOutcome:
    """Search until the budget is spent, the space is exhausted or Ctrl-C is pressed.

    Recorded evaluations are all replayed, even if the budget is smaller now.

    Args:
        algorithm: a new algorithm (not asked yet).
        evaluate: see :data:`Evaluate`.
        budget: evaluations or time after which to end.
        record: stores each new evaluation before the algorithm is told.
        train: trains what the algorithm asks to be trained; needed where it asks for that.
        recorded: evaluations of an earlier, interrupted call, in order.
        elapsed: search time of those evaluations, in seconds.
        batch: genotypes per ask; changes the search.
        ahead: genotypes per ask while they do not depend on results, enough to keep all workers
            busy; changes only the speed.
        progress: called after each new evaluation with the search time so far.

    Raises:
        InputError: the record belongs to another search.
        RunError: none of the first candidates could be scored.
    """
    replay = deque(recorded)
    history: list[Evaluation] = []
    clock = _Clock(elapsed)
    spent = Spent()
    by = {"score": evaluate, "train": train or _refuse_to_train}

    def left() -> int:
        spent.seconds = clock.seconds()
        return budget.left(spent, algorithm.step)

    def take(evaluation: Evaluation) -> None:
        history.append(evaluation)
        _count(spent, evaluation, algorithm.step)

    stop: Stop = "budget"
    try:
        while most := len(replay) or left():
            free = algorithm.independent()
            # Always full batches: proposals must not depend on the budget, so that the history of a
            # smaller budget is the beginning of that of a larger one.
            genotypes = algorithm.ask(min(free, max(batch, min(ahead, most))) if free else batch)
            if not genotypes:
                stop = "exhausted"
                break
            begun = len(history)
            while waiting := genotypes[len(history) - begun :]:
                if replay:
                    take(_checked(replay.popleft(), waiting[0]))
                    continue
                most = left()
                if not most:
                    break
                done = len(history) - begun
                evaluations = by[algorithm.step](genotypes, done, min(done + most, len(genotypes)))
                for evaluation in evaluations:
                    record.append(evaluation, clock.seconds())
                    take(evaluation)
                    if progress is not None:
                        progress(evaluation, clock.seconds())
                    if not budget.left(Spent(seconds=clock.seconds())):
                        break
            if waiting:
                break  # the budget ended within a batch: its evaluations are recorded, not told
            algorithm.tell(history[begun:])
            _give_up_if_hopeless(history)
    except KeyboardInterrupt:
        stop = "interrupted"
    return SearchOutcome(history, clock.seconds(), stop)


class _Clock:
    """Search time, continued from an earlier call."""

    def __init__(self, elapsed: float) -> None:
        self._start = monotonic() - elapsed

    def seconds(self) -> float:
        return monotonic() - self._start


def _count(spent: Spent, evaluation: Evaluation, step: Step) -> None:
    """Add an evaluation to what is spent."""
    if step == "train":
        spent.trainings += 1
    else:
        spent.evaluations += evaluation.status != "rejected"


def _refuse_to_train(genotypes: Sequence[Hashable], start: int, stop: int) -> NoReturn:
    raise RuntimeError("the algorithm asks for trainings, and run_loop was not told how to train")


def _checked(recorded: Evaluation, genotype: Hashable) -> Evaluation:
    if recorded.genotype != str(genotype):
        raise InputError(
            f"the record holds {quote(recorded.genotype)} where this search proposes "
            f"{quote(str(genotype))}: it was made by another configuration or version; choose "
            "another hydra.run.dir"
        )
    return recorded


def _give_up_if_hopeless(history: Sequence[Evaluation]) -> None:
    if any(evaluation.status == "ok" for evaluation in history):
        return
    rejected = sum(evaluation.status == "rejected" for evaluation in history)
    if len(history) - rejected >= GIVE_UP_AFTER["scored"] or rejected >= GIVE_UP_AFTER["rejected"]:
        (reason, count), *_ = Counter(e.reason for e in history).most_common(1)
        raise RunError(
            f"none of the first {len(history)} candidates got a score; "
            f"the most frequent reason ({count} times): {reason}"
        )
