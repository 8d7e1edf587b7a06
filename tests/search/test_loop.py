"""The loop: budgets, giving up, Ctrl-C, and a history independent of interruptions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation, Status
from nas_search.search import Algorithm, Budget, SearchOutcome, run_loop
from nas_search.search.random_search import RandomSearch, RandomSearchOptions
from nas_search.search.regularized_evolution import (
    RegularizedEvolution,
    RegularizedEvolutionOptions,
)
from tests.search.toy import Hill, Tape, ToySpace

SPACE = ToySpace()
law = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def evolution(seed: int = 0) -> Algorithm:
    options = RegularizedEvolutionOptions(12, 4)
    return RegularizedEvolution(SPACE, np.random.default_rng(seed), "hill", options)


def random_search(seed: int = 0) -> Algorithm:
    return RandomSearch(SPACE, np.random.default_rng(seed), "hill", RandomSearchOptions())


def search(
    evaluations: int, batch: int = 1, ahead: int = 1, recorded: Sequence[Evaluation] = ()
) -> SearchOutcome:
    """Search a hill on which a third of the words have no score."""
    hill, tape = Hill(SPACE, faulty=True), Tape(recorded)
    outcome = run_loop(
        evolution(),
        hill,
        Budget(evaluations),
        tape,
        recorded=recorded,
        batch=batch,
        ahead=ahead,
    )
    assert tape.evaluations == outcome.evaluations
    assert len(hill.calls) == len(outcome.evaluations) - len(recorded)
    return outcome


@cache
def long(batch: int) -> list[Evaluation]:
    return search(150, batch).evaluations


@pytest.mark.parametrize("evaluations", [1, 11, 12, 13, 40])
@pytest.mark.parametrize("batch", [1, 7])
def test_budget_is_met_exactly_and_rejected_candidates_do_not_count(
    evaluations: int, batch: int
) -> None:
    done = search(evaluations, batch).evaluations
    assert sum(e.status != "rejected" for e in done) == evaluations
    assert done[-1].status != "rejected"
    if evaluations == 40:
        assert any(e.status == "rejected" for e in done)


@law
@given(st.integers(1, 300), st.sampled_from([1, 5, 8]))
def test_lookahead_does_not_change_the_history(ahead: int, batch: int) -> None:
    assert search(60, batch, ahead).evaluations == search(60, batch).evaluations


def test_lookahead_proposes_the_first_population_at_once() -> None:
    sizes: list[int] = []

    def evaluate(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        sizes.append(stop - start)
        return Hill(SPACE)(words, start, stop)

    run_loop(evolution(), evaluate, Budget(27), Tape(), batch=5, ahead=256)
    assert sizes == [12, 5, 5, 5]


def test_batch_size_changes_the_history() -> None:
    assert search(60, 1).evaluations != search(60, 8).evaluations


@law
@given(st.integers(0, 150), st.sampled_from([1, 5, 8]), st.sampled_from([1, 256]))
def test_interrupted_search_continues_to_the_same_history(
    stopped: int, batch: int, ahead: int
) -> None:
    recorded = long(batch)[:stopped]
    assert search(150, batch, ahead, recorded).evaluations == long(batch)


@law
@given(st.integers(1, 149), st.sampled_from([1, 5, 8]))
def test_history_of_a_smaller_budget_begins_that_of_a_larger_one(
    evaluations: int, batch: int
) -> None:
    part = search(evaluations, batch).evaluations
    assert part == long(batch)[: len(part)]
    assert search(150, batch, recorded=part).evaluations == long(batch)


@pytest.mark.parametrize("evaluations", [5, 60, 150])
def test_finished_search_is_replayed_without_evaluating(evaluations: int) -> None:
    # Even with a smaller budget: the report keeps every evaluation.
    outcome = search(evaluations, 8, recorded=long(8))
    assert outcome.evaluations == long(8)


@pytest.mark.parametrize("place", [0, 3, 20])
def test_record_of_another_search_is_refused(place: int) -> None:
    recorded = list(long(1)[:30])
    recorded[place] = Evaluation("(0, 0, 0, 0, 0, 0, 0, 0)", "", "ok", {"hill": 1.0})
    with pytest.raises(InputError, match=r"(?s)holds '\(0, 0.*another hydra.run.dir") as caught:
        search(60, recorded=recorded)
    assert "\n" not in str(caught.value)


class FakeClock:
    """A clock that advances only by evaluations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_each: float) -> None:
        self.now, self.seconds_each = 1000.0, seconds_each
        monkeypatch.setattr("nas_search.search.loop.monotonic", lambda: self.now)

    def evaluate(self, words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        for evaluation in Hill(SPACE)(words, start, stop):
            self.now += self.seconds_each
            yield evaluation


@pytest.mark.parametrize("batch", [1, 8])
def test_minutes_end_the_search_within_one_evaluation(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    clock, tape = FakeClock(monkeypatch, 7.0), Tape()
    outcome = run_loop(evolution(), clock.evaluate, Budget(None, 2.0), tape, batch=batch)
    assert len(outcome.evaluations) == 18  # 17 x 7 s = 119 s < 120 s
    assert outcome.seconds == 126
    assert outcome.stop == "budget"
    assert tape.elapsed == [7.0 * n for n in range(1, 19)]


@pytest.mark.parametrize("batch", [1, 8])
def test_minutes_are_summed_over_continued_runs(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    clock, tape = FakeClock(monkeypatch, 7.0), Tape()
    run_loop(evolution(), clock.evaluate, Budget(None, 1.0), tape, batch=batch)
    assert len(tape.evaluations) == 9

    def again(minutes: float) -> SearchOutcome:
        return run_loop(
            evolution(),
            clock.evaluate,
            Budget(None, minutes),
            tape,
            recorded=list(tape.evaluations),
            elapsed=tape.elapsed[-1],
            batch=batch,
        )

    again(1.0)
    assert len(tape.evaluations) == 9  # a finished search stays finished, also within a batch
    assert again(0.01).evaluations == tape.evaluations
    again(2.0)
    assert len(tape.evaluations) == 18
    hill = Hill(SPACE)
    whole = run_loop(evolution(), hill, Budget(18), Tape(), batch=batch)
    assert whole.evaluations == tape.evaluations


def test_first_bound_that_is_met_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch, 7.0)
    assert len(run_loop(evolution(), clock.evaluate, Budget(5, 2.0), Tape()).evaluations) == 5
    assert len(run_loop(evolution(), clock.evaluate, Budget(500, 2.0), Tape()).evaluations) == 18


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("interrupted", [0, 1, 12, 15])
def test_search_continues_after_ctrl_c_without_loss(batch: int, interrupted: int) -> None:
    hill, tape = Hill(SPACE), Tape()

    def evaluate(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        for evaluation in hill(words, start, stop):
            if len(tape.evaluations) == interrupted:
                raise KeyboardInterrupt
            yield evaluation

    outcome = run_loop(evolution(), evaluate, Budget(40), tape, batch=batch)
    assert outcome.stop == "interrupted"
    assert len(outcome.evaluations) == interrupted
    assert outcome.evaluations == tape.evaluations
    rest = run_loop(evolution(), hill, Budget(40), tape, batch=batch, recorded=tape.evaluations[:])
    whole = run_loop(evolution(), Hill(SPACE), Budget(40), Tape(), batch=batch)
    assert rest.evaluations == whole.evaluations


def test_evaluations_are_recorded_before_they_are_told() -> None:
    told: list[int] = []
    tape = Tape()

    class Watched(RegularizedEvolution):
        def tell(self, evaluations: Sequence[Evaluation]) -> None:
            told.extend([len(tape.evaluations)] * len(evaluations))
            super().tell(evaluations)

    watched = Watched(SPACE, np.random.default_rng(0), "hill", RegularizedEvolutionOptions(12, 4))
    run_loop(watched, Hill(SPACE), Budget(30), tape)
    assert told == list(range(1, 31))


def test_progress_is_called_for_new_evaluations_only() -> None:
    heard: list[Evaluation] = []
    run_loop(
        evolution(),
        Hill(SPACE, faulty=True),
        Budget(150),
        Tape(),
        recorded=long(1)[:100],
        progress=lambda evaluation, seconds: heard.append(evaluation),
    )
    assert heard == long(1)[100:]


@pytest.mark.parametrize(
    ("status", "tried"), [("failed", 100), ("dead", 100), ("rejected", 10_000)]
)
def test_search_without_any_score_is_given_up(status: Status, tried: int) -> None:
    tape = Tape()

    def evaluate(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        return (
            Evaluation(str(w), str(w), status, reason="it is too old") for w in words[start:stop]
        )

    with pytest.raises(RunError, match=f"first {tried} .*it is too old"):
        run_loop(random_search(), evaluate, Budget(100_000), tape, ahead=50)
    assert len(tape.evaluations) == tried


def test_search_with_one_score_goes_on() -> None:
    def evaluate(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        for word in words[start:stop]:
            kind: Status = "ok" if not tape.evaluations else "failed"
            yield Evaluation(str(word), str(word), kind, {"hill": 1.0} if kind == "ok" else {})

    tape = Tape()
    outcome = run_loop(random_search(), evaluate, Budget(300), tape)
    assert (outcome.stop, len(outcome.evaluations)) == ("budget", 300)


@pytest.mark.parametrize(
    ("budget", "key"),
    [
        ({}, "endless"),
        ({"evaluations": 0}, "evaluations=0"),
        ({"evaluations": -1}, "evaluations=-1"),
        ({"minutes": 0.0}, "minutes=0"),
        ({"minutes": -1.0}, "minutes=-1"),
        ({"minutes": float("nan")}, "minutes=nan"),
        ({"minutes": float("inf")}, "minutes=inf"),
    ],
)
def test_errors_name_impossible_budgets(budget: dict[str, float], key: str) -> None:
    with pytest.raises(InputError, match=key):
        Budget(**budget)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trainings", "epochs", "trained"),
    [(8, None, 8), (8, 100, 8), (8, 40, 8), (8, 39, 7), (None, 39, 7), (None, 5, 1), (1, 5, 1)],
)
def test_epochs_pay_for_whole_trainings(
    trainings: int | None, epochs: int | None, trained: int
) -> None:
    paid = Budget(trainings=trainings, epochs=epochs).in_trainings(5)
    assert paid.trainings == trained
    assert (paid.epochs is not None) == (epochs is not None and trained != trainings)


def test_epochs_that_pay_for_no_training_are_refused() -> None:
    with pytest.raises(InputError, match="budget.epochs=4 pays for no training: one takes 5 ep"):
        Budget(epochs=4).in_trainings(5)


@pytest.mark.parametrize("room", ["nas_search.search", "nas_search.report"])
def test_room_does_not_import_torch(room: str) -> None:
    check = f"import sys, {room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
