"""By what finalists are the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_search.commands.finalists import ranked_by
from nas_search.commands.finalists_by import check_by, name_by, settled, with_scores
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.priors import combined, shipped_prior
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nasbench201 import Nasbench201Space

SPACE = DartsSpace()


class Own(Nasbench201Space):
    name = "own"


def evaluations() -> list[Evaluation]:
    rng = np.random.default_rng(0)
    texts = [str(SPACE.sample(rng)) for _ in range(6)]
    made = [Evaluation(text, text, "ok", {"gradalign": 500.0 + i}) for i, text in enumerate(texts)]
    return [*made, Evaluation("x", "x", "dead", {}, reason="made")]


@pytest.mark.parametrize(
    ("by", "fitness", "name"),
    [
        ("fitness", "naswot", "naswot"),
        ("score", "gradalign", "gradalign"),
        ("score", "gradalign_prior", "gradalign"),
        ("prior", "naswot", "prior"),
        ("prior", "gradalign_prior", "prior"),
        ("both", "gradalign", "gradalign_prior"),
        ("both", "gradalign_prior", "gradalign_prior"),
    ],
)
def test_a_choice_names_a_score(by: str, fitness: str, name: str) -> None:
    assert name_by(by, fitness, SPACE) == name


@pytest.mark.parametrize("by", ["fitness", "score", "prior", "both"])
def test_what_is_named_is_taken(by: str) -> None:
    assert settled(by, (Objective("gradalign"),), SPACE, trained=False) == by


@pytest.mark.parametrize(
    ("names", "space", "trained", "by"),
    [
        (["gradalign"], SPACE, False, "prior"),
        (["gradalign"], SPACE, True, "fitness"),
        (["gradalign"], Own(), False, "fitness"),
        (["gradalign"], Nasbench201Space(), False, "fitness"),
        (["naswot"], SPACE, False, "fitness"),
        (["prior"], SPACE, False, "fitness"),
        (["gradalign_prior"], SPACE, False, "fitness"),
        (["gradalign", "params"], SPACE, False, "fitness"),
    ],
)
def test_without_a_word_the_prior_stands_beside_gradalign_alone(
    names: list[str], space: Any, trained: bool, by: str
) -> None:
    objectives = tuple(map(Objective, names))
    check_by("auto", objectives, space, trained)
    assert settled("auto", objectives, space, trained) == by
    made = evaluations()
    if names == ["gradalign"] and space is SPACE:
        chosen, score = ranked_by(made, objectives, "auto", space, [2, 1] if trained else [])
        predicted, _ = shipped_prior(SPACE).predict([one.genotype for one in made[:-1]])
        assert score == ("gradalign" if trained else "prior")
        best = [2, 1] if trained else (1 + np.argsort(-predicted)).tolist()
        assert [number for number, _ in chosen] == best


def test_what_the_search_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="measures no score"):
        name_by("score", "prior", SPACE)
    with pytest.raises(InputError, match="joins a prior with gradalign, not with naswot"):
        name_by("both", "naswot", SPACE)
    with pytest.raises(InputError, match="no prior of search_space=own"):
        name_by("prior", "gradalign", Own())


def test_scores_that_a_search_did_not_need_are_added() -> None:
    made = evaluations()
    prior = shipped_prior(SPACE)
    predicted, _ = prior.predict([one.genotype for one in made[:-1]])
    by_prior = with_scores(made, "prior", SPACE)
    assert [one.scores["prior"] for one in by_prior[:-1]] == predicted.tolist()
    assert by_prior[-1] == made[-1]
    scores = [one.scores["gradalign"] for one in made[:-1]]
    both = with_scores(made, "gradalign_prior", SPACE)
    expected = combined(prior, predicted, "gradalign", scores).tolist()
    assert [one.scores["gradalign_prior"] for one in both[:-1]] == expected
    assert with_scores(made, "gradalign", SPACE) == made


def test_what_the_search_computed_by_its_own_prior_stays() -> None:
    own = [Evaluation("x", "x", "ok", {"prior": 7.0})]
    assert with_scores(own, "prior", SPACE) == own
