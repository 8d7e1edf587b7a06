"""Workers: the same evaluations in the same order wherever they are made; a death is a value."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.proxies import PROXIES
from nas_search.scoring import (
    Executor,
    ScoringTask,
    Workers,
    dask_workers,
    process_workers,
    start_workers,
)
from nas_search.scoring.dask_workers import DaskWorkers
from nas_search.scoring.open_jobs import Job, OpenJobs
from nas_search.scoring.process_workers import ProcessWorkers
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.conftest import Register
from tests.scoring import problem
from tests.scoring.problem import DEADLY, DeadlySpace, OddSpace, task

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


@pytest.mark.slow
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
        pids = workers.pids
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        assert timeless(workers.evaluate(candidates)) == mixed
        assert list(workers.evaluate([])) == []


def jobs_of(count: int, size: int = 1) -> OpenJobs:
    stacks = [range(begin, begin + size) for begin in range(0, count, size)]
    return OpenJobs(task(), genotypes(count), stacks)


def take(jobs: OpenJobs, *running: Job) -> Job:
    job = jobs.take(running)
    assert job is not None
    return job


def test_a_death_is_repeated_alone_twice_and_then_a_failure() -> None:
    jobs = jobs_of(4)
    first = take(jobs)
    second = take(jobs, first)
    jobs.died(first, True, "killed by SIGKILL")
    assert jobs.take([second]) is None  # it works: nobody starts before it is done
    jobs.done(second, ["evaluated"])  # type: ignore[list-item]
    for deaths in (1, 2):
        again = take(jobs)
        assert (again.chosen, again.deaths) == (first.chosen, deaths)
        assert jobs.take([again]) is None  # alone
        jobs.died(again, False, "killed by SIGTERM")  # while it started: not its business
        again = take(jobs)
        assert again.deaths == deaths
        jobs.died(again, True, "killed by SIGKILL, out of memory?")
    assert jobs.finished.keys() == {0, 1}
    failure = jobs.finished[0]
    assert failure.status == "failed"
    assert failure.reason == (
        "3 worker processes that scored it died (killed by SIGKILL, out of memory?)"
    )
    third = take(jobs)
    jobs.died(third, False, "killed by SIGKILL")  # while it started: as if nothing had been
    assert take(jobs) == third
    assert take(jobs, third).chosen == range(3, 4)


def test_a_stack_is_repeated_whole_before_it_is_taken_apart() -> None:
    jobs = jobs_of(2, size=2)
    for _ in range(2):
        job = take(jobs)
        assert job.chosen == range(2)
        jobs.died(job, True, "exit code 1")
    single = take(jobs)
    assert single.chosen == range(1)
    jobs.died(single, True, "exit code 1")
    assert take(jobs).chosen == range(1, 2)
    jobs.died(take(jobs), True, "exit code 1")
    assert "3 worker processes" in jobs.finished[0].reason


def odd(kind: str, lives: Path | None = None, **changes: Any) -> ScoringTask:
    return task(OddSpace(odd=kind, lives=str(lives or "")), **changes)


@pytest.mark.slow
@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_a_killed_worker_does_not_change_the_history(tmp_path: Path, deaths: int) -> None:
    lives = tmp_path / "lives"
    lives.write_text("")
    mixed = [*genotypes(3), SPACE.parse(DEADLY), *genotypes(5)[3:]]
    undisturbed = inline(mixed, odd("die", lives))
    lives.write_text("x" * deaths)
    with running(Executor("processes", workers=2), odd("die", lives)) as workers:
        found = timeless(workers.evaluate(mixed))
    if deaths == 3:
        assert (found[3].status, found[3].scores) == ("failed", {})
        found[3] = undisturbed[3]
    assert found == undisturbed


@pytest.mark.slow
def test_a_storm_of_kills_does_not_end_the_search() -> None:
    candidates = genotypes(12)
    storm_is_over = threading.Event()
    with running(Executor("processes", workers=2), task()) as workers:
        assert isinstance(workers, ProcessWorkers)

        def kill() -> None:
            for _ in range(60):  # most of them while they start
                time.sleep(0.5)
                for pid in workers.pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            storm_is_over.set()

        threading.Thread(target=kill, daemon=True).start()
        found = timeless(workers.evaluate(candidates))
        storm_is_over.wait(120)
    assert found == inline(candidates)


@pytest.mark.parametrize(
    "executor",
    [
        Executor("inline"),
        pytest.param(Executor("processes", workers=2), marks=pytest.mark.slow),
        pytest.param(Executor("processes", workers=1, stack=4), marks=pytest.mark.slow),
    ],
)
def test_a_score_that_hangs_has_failed_after_its_seconds(executor: Executor) -> None:
    mixed = [*genotypes(2), SPACE.parse(DEADLY), *genotypes(4)[2:]]
    changes: dict[str, Any] = {"normalization": "frozen"} if executor.stack else {}
    with running(executor, odd("hang", seconds=3.0, **changes)) as workers:
        found = timeless(workers.evaluate(mixed))
    hung = found.pop(2)
    assert hung.status == "failed"
    assert hung.reason == "scoring it took longer than 3 s (proxy.seconds)"
    assert found == inline(genotypes(4), task(**changes))


def test_a_limit_is_a_positive_number_and_not_for_dask() -> None:
    for seconds in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="proxy.seconds"):
            task(seconds=seconds)
    with pytest.raises(InputError, match="proxy.seconds cannot end a score on a Dask cluster"):
        start_workers(Executor("dask"), task(seconds=1.0))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("exit", "ProcessEnded: os._exit(0) would end the search"),
        ("sys.exit", "RuntimeError: sys.exit(0) was called"),
    ],
)
def test_code_that_ends_the_process_has_failed(kind: str, reason: str) -> None:
    mixed = [SPACE.parse(DEADLY), *genotypes(2)]
    ended, *rest = inline(mixed, odd(kind))
    assert (ended.status, ended.reason.split("; ")[0]) == (
        "failed",
        f"gradalign, gradalign_ii: {reason}",
    )
    assert rest == inline(genotypes(2))


class Forking(Nasbench201Space):
    """Its networks are built after a forked process has ended itself."""

    def build(self, *arguments: Any, **macro: Any) -> Any:
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        return super().build(*arguments, **macro)


def test_a_process_that_a_score_forks_may_end() -> None:
    assert inline(genotypes(2), task(Forking())) == inline(genotypes(2))


def test_what_cannot_be_sent_to_a_process_is_said() -> None:
    class Local(Nasbench201Space):
        """Of a function: no other process can import it."""

    with pytest.raises(InputError, match="cannot be sent to another process .*module"):
        start_workers(Executor("processes", workers=1), task(Local()))


@pytest.mark.slow
def test_processes_that_cannot_start_end_the_search_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_workers, "_pickled", lambda *_: b"cnowhere_at_all\nX\n.")
    with (
        running(Executor("processes", workers=1), task()) as workers,
        pytest.raises(InputError, match="a worker process cannot import .*nowhere_at_all"),
    ):
        list(workers.evaluate(genotypes(1)))
    deadly = b"cos\n_exit\n(I3\ntR."  # a pickle that calls os._exit(3)
    monkeypatch.setattr(process_workers, "_pickled", lambda *_: deadly)
    with (
        running(Executor("processes", workers=1), task()) as workers,
        pytest.raises(RunError, match=r"3 worker processes in a row .*\(exit code 3\)"),
    ):
        list(workers.evaluate(genotypes(1)))


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
    print(*workers.pids, flush=True)
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


def workers_of_dask(workers: Workers) -> list[int]:
    assert isinstance(workers, DaskWorkers)
    return list(workers._client.run(os.getpid).values())


@pytest.mark.slow
def test_dask_workers_that_die_change_nothing_and_errors_there_are_one_line() -> None:
    pytest.importorskip("distributed")
    candidates = genotypes(8)
    with running(Executor("dask", workers=2), task()) as workers:
        results = workers.evaluate(candidates)
        found = [replace(next(results), seconds=0)]
        for pid in workers_of_dask(workers):  # all: what they held is lost
            os.kill(pid, signal.SIGKILL)
        assert found + timeless(results) == inline(candidates)
    small = task(macro={"cells": 1, "channels": 4}, images=torch.zeros(6, 3, 1, 1))
    with pytest.raises(InputError) as here:
        inline(candidates, small)
    with running(Executor("dask", workers=1), small) as workers, pytest.raises(InputError) as there:
        list(workers.evaluate(candidates))
    assert str(there.value) == str(here.value)


@pytest.mark.slow
def test_a_dask_cluster_without_workers_or_without_the_plugin_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(dask_workers, "WORKER_SECONDS", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(InputError, match=f"no worker for 1 s; start .* dask worker {address}"):
            start_workers(Executor("dask", address=address), task())
        cluster.scale(1)
        cluster.wait_for_workers(1)
        (tmp_path / "only_here.py").write_text(
            "from nas_search.spaces.nasbench201 import Nasbench201Space\n"
            "class Space(Nasbench201Space): pass\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        only_here = importlib.import_module("only_here")
        with (
            running(Executor("dask", address=address), task(only_here.Space())) as workers,
            pytest.raises(InputError, match="a Dask worker cannot import .*only_here.*plugins"),
        ):
            list(workers.evaluate(genotypes(1)))
        workers = start_workers(Executor("dask", address=address), task())
    with pytest.raises(RunError, match="the Dask scheduler at tcp.* is gone .*repeat the command"):
        list(workers.evaluate(genotypes(1)))
    workers.close()


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
    monkeypatch.setattr("nas_search.scoring.executor.cores", lambda: cores)
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
