"""Trainings side by side end as they do one after another, whatever becomes of a process."""

from __future__ import annotations

import dataclasses
import io
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from nas_search.scoring.executor import MAX_WORKERS, Executor
from nas_search.training import Finalist, side_by_side, train_finalists
from nas_search.training.loop import Training, TrainingFailure
from nas_search.training.packing import Packing
from nas_search.training.side_by_side import Ahead, Division, Job, divided, epochs_in, train_ahead
from tests.training.made import architecture, recipe, stripes_data
from tests.training.test_verdict import CELLS, VIEWS, plan

HOW = plan(recipe(epochs=2, batch_size=16), seeds=[0, 1], threads=1)
Watch = Callable[[], None]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 40),
    st.none() | st.integers(1, 8),
    st.integers(1, 64),
    st.floats(1, 64),
    st.floats(1, 256),
)
def test_a_machine_is_divided_among_trainings(
    trainings: int, threads: int | None, cores: int, each: float, memory: float
) -> None:
    how = divided(trainings, threads, cores, each, memory, seconds=1e3)
    assert divided(trainings, threads, cores, each, memory, seconds=1.0) == Division(1, threads)
    if how.processes == 1:
        assert how.threads == threads
        assert trainings == 1 or cores < 2 * (threads or 1) or memory < 2 * each
        return
    assert how.threads is not None
    assert how.processes <= min(trainings, MAX_WORKERS)
    assert how.processes * how.threads <= cores
    assert how.processes * each <= memory
    assert threads in (None, how.threads)


def in_this_process(work: Ahead, jobs: Sequence[Job], how: Division, watch: Watch) -> None:
    """Train ahead as a process would, from what it is sent."""
    (sent,) = pickle.loads(pickle.dumps((work,)))
    trainer = sent.evaluator(Executor())
    for job in jobs:
        trainer.evaluate([job])
        watch()


def trained(
    folder: Path, data: Any, monkeypatch: pytest.MonkeyPatch, ahead: Any, how: Any = HOW
) -> tuple[list[Finalist], str]:
    """Train two finalists from two seeds each; ``ahead`` trains ahead, or None does."""
    made = [
        Finalist(dataclasses.replace(architecture("nasbench201", data), genotype=cell))
        for cell in CELLS
    ]
    console = Console(file=io.StringIO(), width=200)
    with monkeypatch.context() as patch:
        patch.setattr(side_by_side, "WORTH_SECONDS", 0.0)
        patch.setattr(side_by_side, "cores", lambda: 2 if ahead else 1)
        # What is packed is of no interest here, and checking it takes processes of its own.
        patch.setattr(Packing, "pack", lambda *_: None)
        patch.setattr(sys.modules[train_finalists.__module__], "train_ahead", ahead)
        found = train_finalists(made, data, how, folder, console, VIEWS)
    return found, console.file.getvalue()  # type: ignore[attr-defined]


def weights(folder: Path, key: str, seed: int) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "finalists" / key / f"seed{seed}" / "checkpoint.pt")
    return dict(state["network"])


def check_same(one: Path, other: Path, found: Any, expected: Any) -> None:
    assert [f.key for f in found] == [f.key for f in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.validation, mine.losses, mine.test) == (
            theirs.validation,
            theirs.losses,
            theirs.test,
        )
        for seed in (0, 1):
            a, b = (weights(folder, mine.key, seed) for folder in (one, other))
            assert all(torch.equal(a[name], b[name]) for name in a)


def test_trained_ahead_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = stripes_data(tmp_path)
    alone, said = trained(tmp_path / "alone", data, monkeypatch, None)
    assert "side by side" not in said
    ahead, said = trained(tmp_path / "ahead", data, monkeypatch, in_this_process)
    check_same(tmp_path / "alone", tmp_path / "ahead", ahead, alone)
    assert "2 side by side, 1 thread each" in said
    for finalist in ahead:  # every epoch is told once
        for seed in (0, 1):
            log = tmp_path / "ahead" / "finalists" / finalist.key / f"seed{seed}" / "log.csv"
            assert [epoch.epoch for epoch in epochs_in(log)] == [1, 2]
            for epoch in (1, 2):
                assert said.count(f"{finalist.key} seed {seed}  epoch {epoch}/2") == 1
    _, said = trained(tmp_path / "ahead", data, monkeypatch, pytest.fail)
    assert "side by side" not in said  # all is done


def test_one_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = Training._epoch
    failing: list[Path] = []

    def fails(self: Training, number: int, last: int) -> Any:
        if self._folder.parent not in failing and (self._seed == 1 and not failing):
            failing.append(self._folder.parent)
        if self._folder.parent in failing:
            raise TrainingFailure("the loss is NaN")
        return epoch(self, number, last)

    monkeypatch.setattr(Training, "_epoch", fails)
    how = plan(recipe(epochs=1, batch_size=16), seeds=[1], threads=1)
    data = stripes_data(tmp_path)
    found, said = trained(tmp_path / "ahead", data, monkeypatch, in_this_process, how)
    assert said.count("seed 1 failed: the loss is NaN") == 1
    assert [f.status for f in found] == ["trained", "failed"]


@pytest.mark.slow
def test_processes_train_the_same_and_one_that_is_killed_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stripes_data(tmp_path)
    alone, _ = trained(tmp_path / "alone", data, monkeypatch, None)
    killed = 0

    def with_a_death(work: Ahead, jobs: Sequence[Job], how: Division, watch: Watch) -> None:
        def kill_one() -> None:
            nonlocal killed
            watch()
            begun = list((tmp_path / "ahead" / "finalists").glob("*/seed*/log.csv"))
            if not killed and begun:
                killed = 1
                multiprocessing.active_children()[0].kill()

        train_ahead(work, jobs, how, kill_one)

    ahead, said = trained(tmp_path / "ahead", data, monkeypatch, with_a_death)
    assert killed and "2 side by side" in said
    check_same(tmp_path / "alone", tmp_path / "ahead", ahead, alone)
    assert not multiprocessing.active_children()
