"""Workers: the same evaluations in the same order wherever they are made; a death is a value."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, ScoringTask, Workers, start_workers
from nas_search.scoring.workers import ProcessWorkers
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.conftest import Register
from tests.scoring import problem
from tests.scoring.problem import DEADLY, DeadlySpace, task

SPACE = Nasbench201Space()


def genotypes(count: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(count)]


@contextmanager
def running(executor: Executor, scored: ScoringTask) -> Iterator[Workers]:
    workers = start_workers(executor, scored)
    try:
        yield workers
    finally:
        workers.close()


def timeless(evaluations: Iterator[Evaluation]) -> list[Evaluation]:
    return [replace(evaluation, seconds=0) for evaluation in evaluations]


def inline(candidates: list[Any], scored: ScoringTask | None = None) -> list[Evaluation]:
    with running(Executor("inline"), scored or task()) as workers:
        return timeless(workers.evaluate(candidates))


def test_two_processes_survive_a_death_and_agree_with_one(register: Register) -> None:
    register(PROXIES, problem.USER_PROXY)
    # A proxy that only a plugin registers, and a cell whose scoring ends its process.
    scored = task(DeadlySpace(), proxies=("gradalign", "user_score"))
    candidates = genotypes(8)
    deadly = SPACE.parse(DEADLY)
    with running(Executor("processes", workers=2), scored) as workers:
        mixed = timeless(workers.evaluate([*candidates[:4], deadly, *candidates[4:]]))
        killed = mixed.pop(4)
        assert (killed.status, killed.scores) == ("failed", {})
        assert "died" in killed.reason
        cost = scored.cost(deadly)
        assert (killed.genotype, killed.params, killed.macs) == (DEADLY, cost.params, cost.macs)
        assert mixed == inline(candidates, scored)
        assert {e.status for e in mixed} >= {"ok"}
        # A worker that dies while it has nothing to do costs nothing either.
        assert isinstance(workers, ProcessWorkers)
        pids = [pid for pool in workers._pools for pid in pool._processes]
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        assert timeless(workers.evaluate(candidates)) == mixed
        assert list(workers.evaluate([])) == []


class DeadlyPopulations(DeadlySpace):
    """The same, with stacks: whoever is scored together with the deadly cell dies too."""

    def build_stacked(self, genotypes: Any, *arguments: Any, **macro: Any) -> Any:
        if DEADLY in map(str, genotypes):
            os._exit(1)
        return Nasbench201Space.build_stacked(self, genotypes, *arguments, **macro)


def test_stacks_do_not_depend_on_the_workers_or_on_what_is_known() -> None:
    candidates = genotypes(11)
    scored = task(normalization="frozen")
    with running(Executor("inline", stack=4), scored) as workers:
        whole = timeless(workers.evaluate(candidates))
        for start, stop in ((0, 3), (3, 8), (5, None), (9, 10), (4, 4)):
            assert timeless(workers.evaluate(candidates, start, stop)) == whole[start:stop]
    with running(Executor("processes", workers=2, stack=4), scored) as workers:
        assert timeless(workers.evaluate(candidates)) == whole
        assert timeless(workers.evaluate(candidates, 2, 7)) == whole[2:7]
    for evaluation, alone in zip(whole, inline(candidates, scored), strict=True):
        assert evaluation.scores == pytest.approx(alone.scores, rel=1e-5)


@pytest.mark.slow
def test_a_death_in_a_stack_is_the_failure_of_one() -> None:
    candidates = genotypes(4)
    deadly = SPACE.parse(DEADLY)
    mixed = [*candidates[:2], deadly, *candidates[2:]]
    scored = task(DeadlyPopulations(), normalization="frozen")
    with running(Executor("processes", workers=1, stack=5), scored) as workers:
        found = timeless(workers.evaluate(mixed))
    killed = found.pop(2)
    assert (killed.genotype, killed.status) == (DEADLY, "failed")
    assert "died" in killed.reason
    assert found == inline(candidates, scored)


ORPHANS = """
import os, sys
from tests.scoring.test_workers import genotypes
from tests.scoring.problem import task
from nas_search.scoring import Executor, start_workers
if __name__ == "__main__":
    workers = start_workers(Executor("processes", workers=1), task())
    list(workers.evaluate(genotypes(1)))
    print(*workers._pools[0]._processes, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Any) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    parent = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=120
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid = int(parent.stdout)
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the worker outlived its parent by 10 seconds")


@pytest.mark.slow
def test_dask_agrees_with_one_process() -> None:
    pytest.importorskip("distributed")
    with running(Executor("dask", workers=1), task()) as workers:
        assert timeless(workers.evaluate(genotypes(4))) == inline(genotypes(4))
        assert timeless(workers.evaluate(genotypes(4), 1, 3)) == inline(genotypes(4))[1:3]


def test_a_dask_scheduler_that_does_not_answer_is_said() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="no Dask scheduler answers at executor.address=nowhere"):
        start_workers(Executor("dask", address="nowhere"), task())


def test_dask_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install"):
        start_workers(Executor("dask"), task())


def test_inline_evaluations_are_made_one_by_one() -> None:
    seen: list[str] = []

    class Watched(Nasbench201Space):
        def build(self, genotype: Any, *arguments: Any, **macro: Any) -> Any:
            seen.append(str(genotype))
            return super().build(genotype, *arguments, **macro)

    candidates = [g for g in genotypes(9) if SPACE.canonical(g) != "dead"]
    with running(Executor("inline"), task(Watched())) as workers:
        results = workers.evaluate(candidates)
        next(results)
        assert seen == [str(candidates[0])]


@pytest.mark.parametrize(
    ("cores", "executor", "expected"),
    [
        (1, Executor("auto"), ("inline", 1)),
        (4, Executor("auto"), ("processes", 4)),
        (64, Executor("auto"), ("processes", 8)),
        (64, Executor("auto", workers=3), ("processes", 3)),
        (4, Executor("auto", workers=1), ("inline", 1)),
        (64, Executor("processes"), ("processes", 64)),
        (1, Executor("processes"), ("processes", 1)),
        (4, Executor("inline"), ("inline", None)),
    ],
)
def test_auto_chooses_by_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, executor: Executor, expected: tuple[str, int]
) -> None:
    monkeypatch.setattr("nas_search.scoring.workers._cores", lambda: cores)
    resolved = executor.resolved("cpu")
    assert (resolved.name, resolved.workers) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "threads"}, "possible: auto, inline, processes, dask"),
        ({"workers": 0}, "executor.workers=0"),
        ({"threads": -1}, "executor.threads=-1"),
        ({"stack": 0}, "executor.stack=0"),
    ],
)
def test_impossible_executors_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Executor(**options)
