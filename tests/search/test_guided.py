"""Search that learns as it trains: its steps, its history, and that learning pays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import mean
from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.search import ALGORITHMS, Budget, SearchOutcome, run_loop
from nas_search.search.guided import TRAINED, Guided, GuidedOptions, Known, Model
from nas_search.search.random_search import RandomSearch, RandomSearchOptions
from nas_search.search.standings import standings
from tests.search.toy import Hill, Tape, ToySpace, Word

SPACE = ToySpace()
WEIGHTS = np.array([3.0, -2.0, 1.0, 0.0, 0.0, 1.0, -2.0, 3.0])
"""What accuracies follow from; a word and its reverse have the same."""


class Linear:
    """A guide that fits ridge regression on the sorted pairs of digits, and knows its variance."""

    def fit(self, trained: Sequence[Known]) -> Model | None:
        if not trained:
            return None
        x = self._columns(trained)
        inverse = np.linalg.inv(x.T @ x + np.eye(x.shape[1]))
        solution = inverse @ x.T @ np.array([one.accuracy for one in trained])

        def model(candidates: Sequence[Known]) -> tuple[Any, Any]:
            rows = self._columns(candidates)
            return rows @ solution, np.sqrt(np.einsum("ij,jk,ik->i", rows, inverse, rows))

        return model

    @staticmethod
    def _columns(candidates: Sequence[Known]) -> Any:
        words = np.array([one.genotype for one in candidates], dtype=np.float64)
        return np.concatenate([words + words[:, ::-1], np.ones((len(words), 1))], axis=1)


def accuracy(word: Word) -> float:
    return float(50 + WEIGHTS @ np.array(word))


def train(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
    """Tell accuracies; every seventh word cannot be trained."""
    for word in words[start:stop]:
        text, key = str(word), SPACE.canonical(word)
        if sum(word) % 7 == 0:
            yield Evaluation(text, key, "failed", reason="its training failed: the loss is nan")
        else:
            yield Evaluation(text, key, "ok", {TRAINED: accuracy(word)}, params=1, macs=1)


def guided(seed: int = 0, **options: int) -> Guided:
    chosen = {"population": 12, "tournament": 4, "scored": 10, "trained": 4, **options}
    algorithm = Guided(SPACE, np.random.default_rng(seed), "hill", GuidedOptions(**chosen))
    algorithm.guide = Linear()
    return algorithm


def search(
    trainings: int,
    recorded: Sequence[Evaluation] = (),
    batch: int = 4,
    ahead: int = 1,
    seed: int = 0,
) -> SearchOutcome:
    tape = Tape(recorded)
    outcome = run_loop(
        guided(seed),
        Hill(SPACE, faulty=True),
        Budget(trainings=trainings),
        tape,
        train=train,
        recorded=recorded,
        batch=batch,
        ahead=ahead,
    )
    assert tape.evaluations == outcome.evaluations
    return outcome


@cache
def whole() -> tuple[Evaluation, ...]:
    return tuple(search(22).evaluations)


def is_training(evaluation: Evaluation) -> bool:
    return TRAINED in evaluation.scores or "training" in evaluation.reason


def test_rounds_score_then_train_the_best_of_what_was_scored() -> None:
    steps = "".join("T" if is_training(e) else "s" for e in whole())
    counted = [len(part) for part in steps.replace("T", " ").split()]
    trained = [len(part) for part in steps.replace("s", " ").split()]
    assert trained == [4, 4, 4, 4, 4, 2]
    # Rejected candidates do not count: 12 + 10 first, 10 before each other batch, and what is left
    # of a batch of proposals in which candidates were rejected.
    scored = [e for e in whole() if not is_training(e) and e.status != "rejected"]
    assert len(scored) == 22 + 5 * 10
    assert counted[0] >= 22
    keys = [e.key for e in whole() if is_training(e)]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= {e.key for e in scored if e.status == "ok"}


def test_the_first_batch_is_spread_over_the_scores_where_nothing_is_known() -> None:
    first = next(n for n, e in enumerate(whole()) if is_training(e))
    scores = {e.key: e.scores["hill"] for e in whole()[:first] if e.status == "ok"}
    batch = [scores[e.key] for e in whole()[first : first + 4]]
    ordered = sorted(scores.values(), reverse=True)
    assert batch == [ordered[part * len(ordered) // 4] for part in range(4)]
    assert batch[0] == max(scores.values())


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("ahead", [1, 256])
def test_stopped_after_any_evaluation_it_continues_to_the_same_history(
    batch: int, ahead: int
) -> None:
    full = search(14, batch=batch).evaluations
    for stopped in range(len(full)):
        assert search(14, full[:stopped], batch, ahead).evaluations == full


@pytest.mark.parametrize("trainings", range(1, 22))
def test_history_of_a_smaller_budget_begins_that_of_a_larger_one(trainings: int) -> None:
    part = search(trainings).evaluations
    assert part == list(whole()[: len(part)])
    assert sum(map(is_training, part)) == trainings
    assert is_training(part[-1])  # nothing is scored once all trainings are made


def test_the_same_seed_gives_the_same_history_and_another_seed_another() -> None:
    assert search(14).evaluations == search(14).evaluations
    assert search(14, seed=1).evaluations != search(14).evaluations


def test_a_small_space_is_trained_to_the_last_candidate() -> None:
    space = ToySpace(length=3, base=2)
    options = GuidedOptions(population=2, tournament=2, scored=2, trained=2)
    algorithm = Guided(space, np.random.default_rng(0), "hill", options)
    algorithm.guide = Linear()

    def learn(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        for word in words[start:stop]:
            yield Evaluation(str(word), space.canonical(word), "ok", {TRAINED: float(sum(word))})

    outcome = run_loop(algorithm, Hill(space), Budget(1000), Tape(), train=learn)
    assert outcome.stop == "exhausted"
    assert {e.key for e in outcome.evaluations if is_training(e)} == space.networks()


def test_what_failed_to_train_is_not_trained_again_and_never_leads() -> None:
    failed = {e.key for e in whole() if "training" in e.reason}
    assert failed
    ranked = standings(Linear(), whole(), "hill", lambda text: tuple(eval(text)))
    assert failed.isdisjoint(one.evaluation.key for one in ranked)
    scored = {e.key for e in whole() if e.status == "ok" and "hill" in e.scores}
    assert {one.evaluation.key for one in ranked} == scored - failed


def test_standings_are_those_of_the_last_model_over_all_that_was_seen() -> None:
    def parse(text: str) -> Word:
        return tuple(eval(text))

    ranked = standings(Linear(), whole(), "hill", parse)
    trained = [e for e in whole() if TRAINED in e.scores]
    model = Linear().fit([Known(parse(e.genotype), 0.0, e.scores[TRAINED]) for e in trained])
    assert model is not None
    expected = model([Known(parse(one.evaluation.genotype), 0.0) for one in ranked])[0]
    assert [one.mean for one in ranked] == pytest.approx(expected)
    assert [one.mean for one in ranked] == sorted((one.mean for one in ranked), reverse=True)
    assert {one.accuracy for one in ranked if math.isfinite(one.accuracy)} == {
        e.scores[TRAINED] for e in trained
    }
    for one in ranked:
        assert whole()[one.number - 1] is one.evaluation


def test_without_any_training_standings_are_those_of_the_score() -> None:
    scored = whole()[:15]
    ranked = standings(Linear(), scored, "hill", lambda text: tuple(eval(text)))
    assert ranked[0].evaluation.scores["hill"] == max(
        e.scores["hill"] for e in scored if e.status == "ok"
    )
    assert math.isnan(ranked[0].deviation)


def test_it_finds_better_than_random_search_with_as_many_trainings() -> None:
    """The score says nothing of accuracy, so only learning can; 18 of 20 by luck: 1 in 5,000."""

    def random(seed: int) -> float:
        search = RandomSearch(SPACE, np.random.default_rng(seed), "hill", RandomSearchOptions())
        drawn = run_loop(search, Hill(SPACE), Budget(24), Tape()).evaluations
        return max(accuracy(tuple(eval(e.genotype))) for e in drawn)

    def learned(seed: int) -> float:
        found = run_loop(
            guided(seed), Hill(SPACE), Budget(trainings=24), Tape(), train=train_any, batch=4
        ).evaluations
        return max(e.scores.get(TRAINED, 0.0) for e in found)

    def train_any(words: Sequence[Any], start: int, stop: int) -> Iterator[Evaluation]:
        for word in words[start:stop]:
            yield Evaluation(str(word), SPACE.canonical(word), "ok", {TRAINED: accuracy(word)})

    pairs = [(learned(seed), random(seed)) for seed in range(20)]
    assert sum(a > b for a, b in pairs) >= 18
    assert mean(a - b for a, b in pairs) > 5


def test_asking_to_train_without_a_way_to_train_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="how to train"):
        run_loop(guided(), Hill(SPACE), Budget(trainings=2), Tape())


def test_trainings_end_the_budget_and_failed_ones_count() -> None:
    assert sum(map(is_training, search(9).evaluations)) == 9
    with pytest.raises(InputError, match="budget.trainings=0"):
        Budget(trainings=0)


@pytest.mark.parametrize("key", ["scored", "trained"])
def test_errors_name_impossible_options(key: str) -> None:
    with pytest.raises(InputError, match=f"algorithm.{key}=0"):
        GuidedOptions(**{key: 0})


def test_it_is_registered_as_one_that_trains() -> None:
    assert ALGORITHMS.get("guided").trains
    assert not ALGORITHMS.get("regularized_evolution").trains
