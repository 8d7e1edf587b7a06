"""Several tasks over the same candidates give one evaluation each, with the scores of all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas_search.core.evaluation import Evaluation
from nas_search.scoring import Constraints, Executor, ScoringTask, start_workers
from nas_search.scoring.joint_scorer import joined
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.proxies.naive import CELLS
from tests.scoring.problem import task

DEAD = Nasbench201Space().parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def two_tasks() -> tuple[ScoringTask, ScoringTask]:
    one = task(proxies=("gradalign", "params"))
    images, labels = one.images[:6], one.labels[:6]
    return one, replace(one, proxies=("naswot",), images=images, labels=labels, repeats=2)


def facts(evaluation: Evaluation) -> tuple[object, ...]:
    return (evaluation.genotype, evaluation.key, evaluation.params, evaluation.macs)


@pytest.mark.parametrize(
    "executor",
    [
        Executor("inline"),
        Executor("inline", stack=2),
        Executor("processes", workers=2),
    ],
    ids=["inline", "stacked", "processes"],
)
def test_joint_evaluations_hold_the_scores_of_each_task_alone(executor: Executor) -> None:
    tasks = two_tasks()
    genotypes = [*CELLS[:2], DEAD]
    workers = start_workers(executor, *tasks)
    try:
        together = list(workers.evaluate(genotypes))
    finally:
        workers.close()
    for genotype, evaluation in zip(genotypes, together, strict=True):
        alone = [one.evaluate(genotype) for one in tasks]
        scores = alone[0].scores | alone[1].scores
        assert evaluation.scores == pytest.approx(scores, rel=1e-5)
        assert facts(evaluation) == facts(alone[0])
    assert [evaluation.status for evaluation in together] == ["ok", "ok", "dead"]
    reason = "the logits do not depend on the image"
    assert together[2].reason == f"gradalign: {reason}; naswot: {reason}"
    assert set(together[2].scores) == {"params"}


def test_a_rejected_candidate_is_rejected_once() -> None:
    tasks = [replace(one, constraints=Constraints({"max_params": 1})) for one in two_tasks()]
    evaluation = joined(tasks, [one.evaluate(CELLS[0]) for one in tasks])
    assert (evaluation.status, evaluation.scores) == ("rejected", {})
    assert evaluation.reason.count("constraints.max_params=1") == 1


def test_a_failure_outweighs_death_and_seconds_add_up() -> None:
    parts = [
        Evaluation("g", "k", "dead", {"params": 5.0}, 5, 7, 1.0, "gradalign: no signal"),
        Evaluation("g", "k", "failed", {}, 5, 7, 2.0, "RuntimeError: broken"),
    ]
    assert joined(two_tasks(), parts) == Evaluation(
        "g", "k", "failed", {"params": 5.0}, 5, 7, 3.0,
        "gradalign: no signal; naswot: RuntimeError: broken",
    )  # fmt: skip
