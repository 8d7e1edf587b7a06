"""Threads, busy machines, and ``recipe.compile`` where nothing compiles."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from nas_search.core.errors import InputError
from nas_search.training.choice import FinalistsConfig
from nas_search.training.log import TrainingLog
from nas_search.training.loop import Epoch, Training
from nas_search.training.threads import busy_remark, processor_threads
from tests.training.made import recipe, stripes_data
from tests.training.test_verdict import plan, train


@pytest.mark.usefixtures("unchecked")
def test_training_uses_the_threads_that_are_set_and_restores_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = torch.get_num_threads(), []
    run = Training.run

    def spy(self: Training, *arguments: Any) -> None:
        seen.append(torch.get_num_threads())
        run(self, *arguments)

    monkeypatch.setattr(Training, "run", spy)
    train(stripes_data(tmp_path), tmp_path / "a", plan(recipe(epochs=1), threads=before + 1))
    assert seen == [before + 1] and torch.get_num_threads() == before
    with pytest.raises(InputError, match="finalists.threads=0 must be 1 or more"):
        FinalistsConfig(threads=0)


def test_busy_machine_is_said_before_several_threads_train_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (4.0, 4.0, 4.0), raising=False)
    with processor_threads(2):
        assert "finalists.threads=1 may be faster than 2 threads" in busy_remark("cpu")
        assert busy_remark("cuda") == ""
        monkeypatch.setattr(os, "getloadavg", lambda: (2.0, 4.0, 4.0))
        assert busy_remark("cpu") == ""
    monkeypatch.setattr(os, "getloadavg", lambda: (4.0, 4.0, 4.0))
    with processor_threads(1):
        assert busy_remark("cpu") == ""


def test_speed_that_collapses_is_said_once(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    log = TrainingLog(tmp_path, console, plan(recipe()), "abc", "images")
    ends = 0.0
    for number, (speed, seconds) in enumerate([(20, 5), (19, 5), (1, 0.1), (1, 90), (1, 90)], 1):
        ends += seconds
        log.epoch(Epoch(number, 0.1, 1.0, 50.0, 1.0, 50.0, speed, ends), 0)
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    remarks = [line for line in said if "instead of" in line]
    assert remarks == [
        "1 images/s instead of 20: something else uses this machine; on a CPU finalists.threads=1 "
        "suffers less from it"
    ]
    assert said.index(remarks[0]) == 4  # after the first long slow epoch, not the short one


@pytest.mark.slow
def test_commands_let_waiting_threads_sleep_unless_told_otherwise() -> None:
    """OpenMP itself says what it read: torch must not have been imported before."""
    code = (
        "import sys; sys.argv = ['train', '--help']\n"
        "from nas_search.commands.train import main\n"
        "assert 'torch' not in sys.modules\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "import torch; torch.ones(9)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    for given, policy in ((None, "PASSIVE"), ("active", "ACTIVE")):
        told = {} if given is None else {"OMP_WAIT_POLICY": given}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **told, "OMP_DISPLAY_ENV": "true"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        line = next(line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line)
        assert policy in line


def test_compile_that_fails_is_one_line_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> object:
        raise RuntimeError("No working C++ compiler found\nand forty more lines")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(InputError) as caught:
        train(stripes_data(tmp_path), tmp_path / "a", plan(recipe(compile=True)))
    text = str(caught.value)
    assert "\n" not in text and "No working C++ compiler found" in text
    assert "set recipe.compile=false" in text
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_no_compiler_is_found_out_before_training(tmp_path: Path) -> None:
    code = "from nas_search.training.compiled import check_compile as c; c('cpu')"
    environment = {
        **os.environ,
        "CXX": "/nowhere/g++",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "InputError: recipe.compile=true does not work here" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_compiled_training_ends_and_says_that_its_first_epoch_takes_longer(
    tmp_path: Path,
) -> None:
    data = stripes_data(tmp_path)
    (plain,), said = train(data, tmp_path / "plain", plan(recipe()))
    assert "recipe.compile" not in said
    (compiled,), said = train(data, tmp_path / "compiled", plan(recipe(compile=True)))
    assert said.count("recipe.compile: each network's first epoch takes minutes longer") == 1
    assert compiled.losses == pytest.approx(plain.losses, rel=0.05)
