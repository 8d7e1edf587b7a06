"""One evaluation: its status, its numbers, and failures that are values."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.passes import Facts
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.scoring import Constraints, Measuring, measure
from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.conftest import Register
from tests.scoring.problem import task

CELL = Nasbench201Space().parse(
    "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
)


def with_proxy(register: Register, score: Any) -> Any:
    register(PROXIES, ProxyRecord("trial", score, "sample", "ours", "-", "-", needs=(Facts,)))
    return task(proxies=("trial",))


@pytest.mark.parametrize("space", [DartsSpace(), Nasbench201Space()], ids=lambda s: s.name)
def test_a_scored_candidate_has_all_its_facts(space: Any) -> None:
    problem = task(space, normalization="frozen")
    for seed in range(3):
        genotype = space.sample(np.random.default_rng(seed))
        evaluation = problem.evaluate(genotype)
        network = problem.build(genotype)
        assert evaluation.status == "ok"
        assert evaluation.reason == ""
        assert evaluation.genotype == str(genotype)
        assert evaluation.key == space.canonical(genotype)
        assert evaluation.params == sum(p.numel() for p in network.parameters())
        cost = space.cost(genotype, (3, 8, 8), 3, **problem.macro)
        assert (evaluation.params, evaluation.macs) == (cost.params, cost.macs)
        assert list(evaluation.scores) == ["gradalign", "gradalign_ii"]
        assert evaluation.seconds > 0


def test_evaluating_again_gives_the_same_numbers() -> None:
    first = task().evaluate(CELL)
    torch.manual_seed(9)
    assert replace(task().evaluate(CELL), seconds=0) == replace(first, seconds=0)
    assert task(seed=1).evaluate(CELL).scores != first.scores


def test_scores_are_averaged_over_draws() -> None:
    problem = task(repeats=3)
    for name in problem.proxies:
        record = PROXIES.get(name)
        assert record.normalization is not None
        how, images, labels = Measuring(record.normalization), problem.images, problem.labels
        each = [
            record.score(measure(problem.build(CELL, draw), images, labels, how, record.needs))
            for draw in range(3)
        ]
        assert len(set(each)) == 3
        assert problem.evaluate(CELL).scores[name] == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize(
    ("bounds", "over"),
    [({"max_params": 0}, "max_params=1"), ({"max_macs": 0}, "max_macs=1"), ({}, "")],
)
def test_bounds_are_checked_before_scoring(
    monkeypatch: pytest.MonkeyPatch, bounds: dict[str, int], over: str
) -> None:
    cost = task().cost(CELL)
    size = {"max_params": cost.params, "max_macs": cost.macs}
    exact = Constraints({key: size[key] for key in bounds})
    assert task(constraints=exact).evaluate(CELL).status == "ok"  # bounds are inclusive
    if bounds:
        (key,) = bounds
        tight = task(constraints=Constraints({key: size[key] - 1}))
        monkeypatch.setattr("nas_search.scoring.scorer.measure_stack", None)  # nothing is measured
        evaluation = tight.evaluate(CELL)
        assert (evaluation.status, evaluation.scores) == ("rejected", {})
        assert f"constraints.{key}={size[key] - 1}" in evaluation.reason
        assert evaluation.params == cost.params


def test_an_error_is_a_failed_candidate(register: Register) -> None:
    def broken(measurement: Measurement) -> float:
        raise ZeroDivisionError("the first line\nand a second")

    evaluation = with_proxy(register, broken).evaluate(CELL)
    assert (evaluation.status, evaluation.scores) == ("failed", {})
    assert evaluation.reason == "ZeroDivisionError: the first line"


def test_an_error_without_a_message_still_has_a_reason(register: Register) -> None:
    def broken(measurement: Measurement) -> float:
        raise MemoryError

    assert "MemoryError" in with_proxy(register, broken).evaluate(CELL).reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_is_a_failure(register: Register, value: float) -> None:
    evaluation = with_proxy(register, lambda measurement: value).evaluate(CELL)
    assert (evaluation.status, evaluation.scores) == ("failed", {})
    assert evaluation.reason == f"the score is {value}"


DEAD = Nasbench201Space().parse("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|")
CENTERED = "DARTS_V2"  # under per-sample statistics pooling its maps leaves no signal


def test_a_dead_network_keeps_what_does_not_run_it() -> None:
    names = ("naswot", "params", "gradalign", "flops")
    evaluation = task(proxies=names).evaluate(DEAD)
    assert evaluation.status == "dead"
    assert evaluation.scores == {"params": evaluation.params, "flops": evaluation.macs}
    assert evaluation.reason == "naswot, gradalign: the logits do not depend on the image"


def test_a_network_that_is_dead_under_one_normalization_keeps_its_other_scores() -> None:
    space = DartsSpace()
    genotype = space.parse(CENTERED)
    problem = task(space, macro={"cells": 5, "channels": 8}, images=torch.randn(6, 3, 16, 16))
    names = ("gradalign_ii", "gradalign", "naswot")
    evaluation = replace(problem, proxies=names).evaluate(genotype)
    assert evaluation.status == "dead"
    assert evaluation.reason == "gradalign_ii: the logits do not depend on the image"
    others = replace(problem, proxies=names[1:]).evaluate(genotype)
    assert others.status == "ok"
    assert evaluation.scores == others.scores
    single = replace(problem, proxies=names[:1]).evaluate(genotype)
    assert (single.status, single.scores) == ("dead", {})
    assert single.reason == "the logits do not depend on the image"


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "ZeroDivisionError: division by zero"), (float("nan"), "the score is nan")],
)
def test_one_broken_formula_takes_nothing_from_the_others(
    register: Register, value: float | None, reason: str
) -> None:
    with_proxy(register, lambda measurement: 1 / 0 if value is None else value)
    problem = task(proxies=("gradalign", "trial", "params"))
    evaluation = problem.evaluate(CELL)
    assert (evaluation.status, evaluation.reason) == ("failed", f"trial: {reason}")
    assert evaluation.scores == task(proxies=("gradalign", "params")).evaluate(CELL).scores
    dead = problem.evaluate(DEAD)  # an error outweighs death, and both are told
    assert (dead.status, list(dead.scores)) == ("failed", ["params"])
    assert dead.reason == f"gradalign: the logits do not depend on the image; trial: {reason}"


def test_a_score_that_misses_in_one_draw_is_missing(register: Register) -> None:
    calls = iter(range(9))

    def second_time(measurement: Measurement) -> float:
        if next(calls) == 1:
            raise ValueError("not this time")
        return 1.0

    with_proxy(register, second_time)
    evaluation = task(proxies=("trial", "params"), repeats=3).evaluate(CELL)
    assert (evaluation.status, list(evaluation.scores)) == ("failed", ["params"])
    assert evaluation.reason == "trial: ValueError: not this time"


def test_invalid_settings_raise_instead_of_marking_candidates_failed() -> None:
    small = task(images=torch.randn(6, 3, 2, 2))
    with pytest.raises(InputError, match="too small"):
        small.evaluate(CELL)
    with pytest.raises(InputError, match="unknown proxy 'nope'"):
        task(proxies=("nope",)).evaluate(CELL)
    with pytest.raises(InputError, match="repeats=0"):
        task(repeats=0)
    for key in ("normalization", "parameters"):
        odd: dict[str, Any] = {key: "odd"}
        with pytest.raises(InputError, match=f"proxy.{key} 'odd'; possible:"):
            Measuring(**odd)
        with pytest.raises(InputError, match=f"proxy.{key} 'odd'; possible:"):
            task(**odd)


def test_every_score_gets_the_statistics_of_its_definition() -> None:
    own = task(proxies=("gradalign", "gradalign_ii")).evaluate(CELL).scores
    frozen = (
        task(proxies=("gradalign", "gradalign_ii"), normalization="frozen").evaluate(CELL).scores
    )
    sample = (
        task(proxies=("gradalign", "gradalign_ii"), normalization="sample").evaluate(CELL).scores
    )
    assert own["gradalign"] == frozen["gradalign"] != sample["gradalign"]
    assert own["gradalign_ii"] == sample["gradalign_ii"] != frozen["gradalign_ii"]


def test_ctrl_c_is_no_failure_of_a_candidate(register: Register) -> None:
    def interrupted(measurement: Measurement) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_proxy(register, interrupted).evaluate(CELL)


def test_a_pickled_task_scores_the_same() -> None:
    again = pickle.loads(pickle.dumps(task()))
    assert again.evaluate(CELL).scores == task().evaluate(CELL).scores
