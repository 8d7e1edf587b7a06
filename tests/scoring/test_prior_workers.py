"""A prior as fitness, alone and joined with a score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_search.commands.fitness import ProxyConfig, read_proxy
from nas_search.core.errors import InputError
from nas_search.priors import Prior, fit_prior
from nas_search.priors.reference import Reference
from nas_search.scoring import Constraints, Executor
from nas_search.scoring.inline_workers import InlineWorkers
from nas_search.spaces import SPACES
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import task

SPACE = Nasbench201Space()
DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.fixture(scope="module")
def prior() -> Prior:
    rng = np.random.default_rng(0)
    trained = [SPACE.sample(rng) for _ in range(30)]
    convolutions = [float(str(one).count("conv")) for one in trained]
    fitted = fit_prior(SPACE, trained, {"made": convolutions}, trees=20)
    return fitted.described({}, {"gradalign": Reference(4.0, 0.5, "made")})


@pytest.fixture
def file(prior: Prior, tmp_path: Path) -> str:
    prior.save(tmp_path / "my.prior")
    return str(tmp_path / "my.prior")


def proxy(name: str, path: str | None, space: Any = SPACE) -> ProxyConfig:
    return read_proxy({"name": name, "path": path}, None, space)[0]


def test_the_prior_alone_builds_no_network(
    prior: Prior, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Nasbench201Space, "build", None)
    rng = np.random.default_rng(1)
    drawn = [SPACE.sample(rng) for _ in range(12)]
    fitness = proxy("prior", file)
    sizes = [task(SPACE).cost(one).params for one in drawn]
    bound = Constraints({"max_params": float(np.median(sizes))})
    bounded = task(SPACE, proxies=(), constraints=bound)
    evaluations = list(fitness.start(Executor("inline"), [bounded]).evaluate(drawn, 2, 12))
    assert [one.genotype for one in evaluations] == [str(one) for one in drawn[2:]]
    rejected = [one for one in evaluations if one.status == "rejected"]
    assert 0 < len(rejected) < 10 and all(one.reason and not one.scores for one in rejected)
    expected = dict(zip(map(str, drawn), prior.predict(drawn)[0].tolist(), strict=True))
    for one in evaluations:
        if one.status == "ok":
            assert one.scores == {"prior": expected[one.genotype]}


def test_score_and_prior_stay_apart_beside_their_sum(prior: Prior, file: str) -> None:
    rng = np.random.default_rng(2)
    drawn = [SPACE.sample(rng) for _ in range(5)] + [SPACE.parse(DEAD)]
    fitness = proxy("gradalign_prior", file)
    assert fitness.measured_scores == ("gradalign",)
    assert fitness.scores == ("gradalign_prior", "gradalign", "prior")
    assert fitness.settings.batch_size == 32  # that of gradalign's definition
    measuring = task(SPACE, proxies=fitness.measured_scores)
    joined = list(fitness.start(Executor("inline"), [measuring]).evaluate(drawn))
    alone = list(InlineWorkers((measuring,), Executor("inline")).evaluate(drawn))
    predicted = prior.predict(drawn)[0]
    for one, measured, prediction in zip(joined, alone, predicted.tolist(), strict=True):
        assert one.status == measured.status
        assert one.scores["prior"] == prediction
        if one.status == "ok":
            score = measured.scores["gradalign"]
            assert one.scores["gradalign"] == score
            standardized = (prediction - prior.center) / prior.spread
            expected = (standardized + (np.log(score) - 4.0) / 0.5) / 2
            assert one.scores["gradalign_prior"] == pytest.approx(expected, rel=1e-12)
    assert joined[-1].status == "dead" and "gradalign_prior" not in joined[-1].scores


def test_who_is_evaluated_together_changes_nothing(file: str) -> None:
    rng = np.random.default_rng(3)
    drawn = [SPACE.sample(rng) for _ in range(6)]
    fitness = proxy("gradalign_prior", file)
    measuring = task(SPACE, proxies=fitness.measured_scores)
    together = list(fitness.start(Executor("inline"), [measuring]).evaluate(drawn))
    workers = fitness.start(Executor("inline"), [measuring])
    apart = [one for i in range(6) for one in workers.evaluate(drawn, i, i + 1)]
    assert [one.scores for one in together] == [one.scores for one in apart]


def test_the_prior_is_part_of_what_identifies_a_run(prior: Prior, file: str) -> None:
    assert proxy("prior", file).facts()["prior"] == prior.digest
    assert proxy("prior", None, SPACES.get("darts").space()).facts()["prior"] != prior.digest


def test_priors_that_cannot_be_the_fitness_are_refused(
    prior: Prior, file: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="not of search_space=darts"):
        proxy("prior", file, SPACES.get("darts").space())
    prior.described({}, {}).save(file)
    assert proxy("prior", file).prior is not None
    with pytest.raises(InputError, match="does not say how gradalign is distributed"):
        proxy("gradalign_prior", file)
    rng = np.random.default_rng(0)
    trained = [SPACE.sample(rng) for _ in range(10)]
    scores = {"zen": np.arange(10.0)}
    fit_prior(SPACE, trained, {"made": np.arange(10.0)}, scores=scores, trees=5).save(file)
    with pytest.raises(InputError, match="takes the scores zen"):
        proxy("prior", file)
    with pytest.raises(InputError, match="unknown key 'proxy.pth', did you mean|unknown key"):
        read_proxy({"name": "prior", "pth": file}, None, SPACE)


class Own(Nasbench201Space):
    name = "own"


def test_a_space_without_a_prior_says_how_to_make_one() -> None:
    with pytest.raises(InputError, match=r"no prior of search_space=own.*nas_search\.learn"):
        proxy("prior", None, Own())
