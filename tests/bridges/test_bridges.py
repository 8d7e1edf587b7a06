"""Bridges are told everything once: read back from their own files, also after a kill."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_search.bridges import BRIDGES, BridgeRecord, Bridges
from nas_search.bridges.bridges import NOTE, check_bridges, flat
from nas_search.bridges.told import Telling
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.runs.run import open_run
from tests.bridges.told_there import history, hyperparameters, records, scalars
from tests.commands.test_search import TINY
from tests.conftest import Register
from tests.pages.material import evaluations, make_training

SCORE = (Objective("gradalign"),)
ROOT = Path(__file__).parents[2]
FACTS = {"seed": 3, "proxy": {"name": "gradalign", "batch_size": None, "classes": [1, 2]}}

Tell = Callable[..., list[str]]


class Listener:
    """A bridge that remembers what it is told, and fails at the evaluation ``fails_at``."""

    def __init__(self, fails_at: int = 0) -> None:
        self.evaluations: list[tuple[int, Mapping[str, float]]] = []
        self.epochs: list[tuple[str, int, Mapping[str, float]]] = []
        self.parameters: Mapping[str, Any] = {}
        self.continued: list[bool] = []
        self.closed = 0
        self._fails_at = fails_at

    def open(self, _: Path, parameters: Mapping[str, Any], continued: bool) -> Listener:
        self.parameters = parameters
        self.continued.append(continued)
        return self

    def evaluation(self, number: int, values: Mapping[str, float]) -> None:
        if number == self._fails_at:
            raise OSError("no space\nleft")
        self.evaluations.append((number, values))

    def epoch(self, training: str, number: int, values: Mapping[str, float]) -> None:
        self.epochs.append((training, number, values))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def listening(register: Register) -> Callable[[Listener], None]:
    def listen(listener: Listener, name: str = "listener") -> None:
        register(BRIDGES, BridgeRecord(name, "json", "none", listener.open))

    return listen


def tell(
    folder: Path, new: Sequence[Evaluation], recorded: Sequence[Evaluation] = (), *names: str
) -> list[str]:
    """Tell bridges of a search in ``folder``; return what was said."""
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    with Bridges(names or ("listener",), folder, said.append) as bridges:
        bridges.start(FACTS, SCORE, recorded)
        for evaluation in new:
            bridges.evaluation(evaluation)
        bridges.curves()
    return said


def test_numbers_of_an_evaluation_are_its_own_the_best_so_far_and_the_counts() -> None:
    told = [
        Evaluation("a", "a", "ok", {"s": 2.0}, 10, 20, 0.5, costs={"flash": 7.0}),
        Evaluation("b", "b", "failed", {}, 11, None, 0.25, "why"),
        Evaluation("c", "c", "ok", {"s": 1.0}, 9, 30, 0.5, costs={"macs": 99.0}),
    ]
    telling = Telling((Objective("s"), Objective("params", minimize=True)))
    first, second, third = map(telling.of, told)
    counts = {"count/ok": 1.0, "count/rejected": 0.0, "count/dead": 0.0, "count/failed": 0.0}
    costs = {"cost/params": 10.0, "cost/macs": 20.0, "cost/flash": 7.0}
    best = {"best/s": 2.0, "best/params": 10.0}
    assert first == {"score/s": 2.0, **best, **costs, **counts, "seconds": 0.5}
    assert second == {
        **best, "cost/params": 11.0, **counts, "count/failed": 1.0, "seconds": 0.25
    }  # fmt: skip
    assert third["best/s"] == 2.0 and third["best/params"] == 9.0  # of different candidates
    assert third["count/ok"] == 2.0 and third["cost/macs"] == 99.0


@pytest.mark.parametrize("stopped", [0, 1, 7, 12])
def test_a_continued_search_tells_each_evaluation_once(
    tmp_path: Path, listening: Callable[[Listener], None], stopped: int
) -> None:
    told, listener = evaluations(12), Listener()
    listening(listener)
    tell(tmp_path, told[:stopped])
    tell(tmp_path, told[stopped:], told[:stopped])
    tell(tmp_path, (), told)
    telling = Telling(SCORE)
    assert listener.evaluations == [(n, telling.of(one)) for n, one in enumerate(told, 1)]
    assert listener.continued == [False, stopped > 0, True] and listener.closed == 3
    assert listener.parameters == {"seed": 3, "proxy.name": "gradalign", "proxy.classes": "[1, 2]"}


def test_learning_curves_are_told_once_and_only_where_they_are_wanted(
    tmp_path: Path, listening: Callable[[Listener], None], register: Register
) -> None:
    folder, listener, other = make_training(tmp_path), Listener(), Listener()
    listening(listener)
    register(BRIDGES, BridgeRecord("own", "json", "none", other.open, curves=False))
    for _ in range(2):
        tell(folder, (), (), "listener", "own")
    names = [(training, number) for training, number, _ in listener.epochs]
    assert names == [(f"{k}/seed0", n) for k in ("00ab12cd", "1e234567") for n in range(1, 9)]
    assert listener.epochs[0][2] == {
        "epoch": 1.0, "loss": 2.0, "validation_loss": 2.2, "validation_accuracy": 48.0
    }  # fmt: skip
    assert not other.epochs


def test_a_bridge_that_fails_is_left_out_and_the_others_are_told(
    tmp_path: Path, listening: Callable[..., None]
) -> None:
    failing, well = Listener(fails_at=2), Listener()
    listening(failing)
    listening(well, "well")
    said = tell(tmp_path, evaluations(4), (), "listener", "well")
    assert len(failing.evaluations) == 1 and len(well.evaluations) == 4
    assert said == [
        "bridges=[listener] failed and is told no more (no space left); the search goes on"
    ]


def test_a_broken_note_is_refused_with_the_remedy(
    tmp_path: Path, listening: Callable[[Listener], None]
) -> None:
    listening(Listener())
    (tmp_path / "listener").mkdir()
    (tmp_path / "listener" / NOTE).write_text('{"evaluations": "many"}')
    with pytest.raises(InputError, match=r"told\.json is broken .*; delete .*listener"):
        tell(tmp_path, ())


def test_a_missing_package_and_an_unknown_bridge_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"unknown bridge 'wandbb' \(did you mean 'wandb'\?\)"):
        check_bridges(["wandbb"])
    with pytest.raises(InputError, match="names one twice"):
        check_bridges(["tensorboard", "tensorboard"])
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "wandb" else find(n))
    with pytest.raises(InputError, match=r"bridges=\[wandb\] needs wandb: pip .*\[wandb\]"):
        check_bridges(["tensorboard", "wandb"])


def test_tensorboard_reads_back_every_number_once(tmp_path: Path) -> None:
    told = evaluations(9)
    tell(tmp_path, told[:5], (), "tensorboard")
    tell(tmp_path, told[5:], told[:5], "tensorboard")
    telling = Telling(SCORE)
    expected: dict[str, list[tuple[int, float]]] = {}
    for number, one in enumerate(told, 1):
        for tag, value in telling.of(one).items():
            expected.setdefault(tag, []).append((number, float(np.float32(value))))
    assert scalars(tmp_path / "tensorboard") == expected


def test_tensorboard_has_the_hyperparameters_once(tmp_path: Path) -> None:
    told = evaluations(4)
    tell(tmp_path, told[:2], (), "tensorboard")
    tell(tmp_path, told[2:], told[:2], "tensorboard")
    (given,) = hyperparameters(tmp_path / "tensorboard")
    assert given == {"seed": 3, "proxy.name": "gradalign", "proxy.classes": "[1, 2]"}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.mark.slow
def test_wandb_offline_holds_every_number_once_in_one_run(tmp_path: Path, offline: None) -> None:
    import wandb

    told, folder = evaluations(6), make_training(tmp_path / "run")
    tell(folder, told[:4], (), "wandb")
    time.sleep(1)  # folders of W&B are named by the second
    tell(folder, told[4:], told[:4], "wandb")
    wandb.teardown()  # as at the end of a process: what is in its service's hands is written
    telling, rows = Telling(SCORE), history(folder / "wandb")
    of_search = [row for row in rows if "evaluation" in row]
    assert of_search == [{"evaluation": n, **telling.of(one)} for n, one in enumerate(told, 1)]
    curve = [row for row in rows if "1e234567/seed0/epoch" in row]
    assert [row["1e234567/seed0/epoch"] for row in curve] == list(range(1, 9))
    assert curve[-1]["1e234567/seed0/validation_accuracy"] == 84.0
    assert len(rows) == len(told) + 16
    runs = [r.run for r in records(folder / "wandb") if r.WhichOneof("record_type") == "run"]
    assert len(runs) == 2 and len({run.run_id for run in runs}) == 1
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert config["proxy.name"] == "gradalign" and config["seed"] == 3


@pytest.mark.slow
def test_wandb_without_a_login_is_one_line(tmp_path: Path) -> None:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("WANDB_")},
        "WANDB_BASE_URL": "http://127.0.0.1:9",  # nobody listens there
        "HOME": str(tmp_path),  # where a login would be kept
        "PYTHONPATH": str(ROOT),
    }
    words = [*TINY, "bridges=[wandb]", "hydra.run.dir=run"]
    ended = subprocess.run(
        [sys.executable, "-m", "nas_search", *words],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 2
    (line,) = [one for one in ended.stderr.splitlines() if one.startswith("nas_search: ")]
    assert line.startswith("nas_search: bridges=[wandb] cannot start")
    assert "WANDB_MODE=offline" in line and "Traceback" not in ended.stderr
    assert not (tmp_path / "run" / "run.sqlite").exists()


@pytest.mark.parametrize(("key", "value"), [("MODE", "banana"), ("RESUME", "perhaps")])
def test_an_impossible_setting_of_wandb_is_one_line_with_what_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: None, key: str, value: str
) -> None:
    import wandb

    wandb.teardown()  # it reads its variables once
    (tmp_path / "wandb").mkdir()
    monkeypatch.setenv(f"WANDB_{key}", value)
    with pytest.raises(InputError) as refused:
        BRIDGES.get("wandb").open(tmp_path / "wandb", {}, False)
    line = str(refused.value)
    assert line.startswith(f"bridges=[wandb] cannot start: WANDB_{key}={value}: input should be '")
    assert "pydantic" not in line and "\n" not in line


def test_hyperparameters_are_flat() -> None:
    values = {"a": {"b": {"c": 1}, "d": None}, "e": [1, "x"], "f": True, "g": 0.5}
    assert flat(values) == {"a.b.c": 1, "e": "[1, 'x']", "f": True, "g": 0.5}


@pytest.mark.slow
def test_a_killed_search_that_is_continued_is_told_once_everywhere(tmp_path: Path) -> None:
    words = [
        *TINY, "search_space=nasbench201", "search_space.cells=1", "budget.evaluations=24",
        "bridges=[tensorboard,wandb]", "finalists.k=1", "recipe.epochs=2", "recipe.min_steps=0",
        "hydra.run.dir=run",
    ]  # fmt: skip
    environment = {**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)}
    environment.pop("WANDB_SERVICE", None)  # of a test in this process, shared by those it starts
    start = partial(
        subprocess.Popen,
        [sys.executable, "-m", "nas_search", *words],
        cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    run, note = tmp_path / "run", tmp_path / "run" / "wandb" / NOTE
    process = start()
    while not note.exists() or json.loads(note.read_text())["evaluations"] < 6:
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    told_before = json.loads(note.read_text())["evaluations"]
    _, err = start().communicate()
    assert not err, err
    told = open_run(run).evaluations
    assert len(told) == 24
    for tag, shown in scalars(run / "tensorboard").items():
        steps = [step for step, _ in shown]
        assert steps == sorted(set(steps)), tag
    steps = [step for step, _ in scalars(run / "tensorboard")["seconds"]]
    assert len(steps) >= 23 and steps[-1] == 24  # the kill may take what was being told
    rows = history(run / "wandb")
    numbers = [row["evaluation"] for row in rows if "evaluation" in row]
    # All of the second start; of the first what W&B's own process had written when it was killed.
    assert numbers == sorted(set(numbers)) and numbers[-1] == 24
    assert set(numbers) >= set(range(told_before + 2, 25))
    (key,) = {folder.parent.parent.name for folder in run.glob("finalists/*/seed0/log.csv")}
    curve = [row for row in rows if f"{key}/seed0/epoch" in row]
    assert [row[f"{key}/seed0/epoch"] for row in curve] == [1, 2]
    (events,) = run.glob("finalists/*/seed0/tensorboard")
    assert [step for step, _ in scalars(events)["validation_accuracy"]] == [1, 2]
