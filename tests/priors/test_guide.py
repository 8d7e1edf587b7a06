"""What a search that trains expects of candidates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas_search.priors import fit_prior
from nas_search.priors.guide import Experience, PriorGuide
from nas_search.priors.warp import normal_scores
from nas_search.search.guided import Known
from nas_search.spaces import SPACES

SPACE = SPACES.get("nasbench201").space()


def drawn(count: int, seed: int = 0) -> list[Known]:
    """Cells whose accuracy is the number of their 3 x 3 convolutions, and a score of noise."""
    rng = np.random.default_rng(seed)
    cells = [SPACE.sample(rng) for _ in range(count)]
    return [
        Known(cell, float(score), 50 + 5 * str(cell).count("conv_3x3") + float(noise))
        for cell, score, noise in zip(cells, rng.random(count), rng.random(count), strict=True)
    ]


def untrained(known: list[Known]) -> list[Known]:
    return [Known(one.genotype, one.score) for one in known]


def truth(known: list[Known]) -> list[float]:
    return [one.accuracy for one in known]


def test_without_prior_and_trainings_there_is_only_the_score() -> None:
    guide = PriorGuide(SPACE, "gradalign")
    assert guide.fit([]) is None
    assert guide.fit(drawn(4)) is None  # too few to learn from


def test_equal_accuracies_teach_nothing() -> None:
    same = [Known(one.genotype, one.score, 90.0) for one in drawn(12)]
    assert PriorGuide(SPACE, "gradalign").fit(same) is None


def test_it_learns_from_thirty_trainings_what_new_cells_are_worth() -> None:
    new, agreement = drawn(100, seed=1), []
    for seed in (0, 2, 3):
        model = PriorGuide(SPACE, "gradalign").fit(drawn(30, seed))
        assert model is not None
        mean, deviation = model(untrained(new))
        agreement.append(spearmanr(mean, truth(new))[0])
        assert (deviation > 0).all()
    assert np.mean(agreement) > 0.6  # though the score is noise


def test_a_prior_orders_before_the_first_training() -> None:
    old = drawn(200, seed=2)
    prior = fit_prior(SPACE, [o.genotype for o in old], {"old": truth(old)}, trees=50)
    guide = PriorGuide(SPACE, "gradalign", prior=prior)
    model = guide.fit([])
    assert model is not None
    new = drawn(50, seed=1)
    mean, deviation = model(untrained(new))
    prediction, spread = prior.predict([one.genotype for one in new])
    assert mean == pytest.approx(prior.standardized(prediction))
    assert deviation == pytest.approx(spread / prior.spread)
    few = drawn(6, seed=3)
    with_prior, alone = guide.fit(few), PriorGuide(SPACE, "gradalign").fit(few)
    assert with_prior is not None and alone is not None
    agreement = spearmanr(with_prior(untrained(new))[0], truth(new))[0]
    assert agreement > spearmanr(alone(untrained(new))[0], truth(new))[0] + 0.1


def test_experience_of_another_protocol_is_ranked_by_itself() -> None:
    old = drawn(40, seed=2)
    experience = Experience(
        "other",
        tuple(one.genotype for one in old),
        tuple(one.accuracy / 100 - 70 for one in old),  # another scale altogether
        tuple(one.score for one in old),
    )
    model = PriorGuide(SPACE, "gradalign", experience=(experience,)).fit([])
    assert model is not None
    new = drawn(100, seed=1)
    assert spearmanr(model(untrained(new))[0], truth(new))[0] > 0.6
    changed = Experience("other", experience.architectures, experience.accuracies, (0.0,) * 40)
    assert changed.digest != experience.digest


def test_a_measured_accuracy_is_half_of_what_is_expected() -> None:
    known = drawn(20)
    model = PriorGuide(SPACE, "gradalign").fit(known)
    assert model is not None
    expected, deviation = model(untrained(known))
    mean, halved = model(known)
    assert mean == pytest.approx((expected + normal_scores(truth(known))) / 2)
    assert halved == pytest.approx(deviation / 2)
    assert all(math.isnan(one.accuracy) for one in untrained(known))
