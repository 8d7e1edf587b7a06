"""How commands end: exit codes, the command that continues, what a refused one leaves."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nas_search.__main__ as search
import nas_search.rank as rank
import nas_search.train as train
from nas_search.core.errors import InputError
from nas_search.runs import open_run
from tests.commands.test_search import TINY
from tests.tables.made import nasbench201

Call = Callable[..., tuple[int, str, str]]
MODULES = {"nas_search": search, "nas_search.rank": rank, "nas_search.train": train}


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Call]:
    """Return the commands as a function of their name and arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def run(name: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            MODULES[name].main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    yield run
    signal.signal(signal.SIGTERM, handler)


def killing(number: int) -> Callable[..., None]:
    def kill(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)

    return kill


RANK = (
    *("benchmark=nasbench201", "benchmark.path=t.csv", "benchmark.test=[c10_test_200]"),
    *("dataset.size=8", "architectures=4", "seeds=[0]", "batch_size=10", "executor=inline"),
)
INTERRUPTED = {
    "nas_search": (TINY, "nas_search.scoring.task.ScoringTask.candidate"),
    "nas_search.rank": (RANK, "nas_search.scoring.task.ScoringTask.candidate"),
    "nas_search.train": (
        ("architecture=DARTS_V2", "dataset=digits"),
        "nas_search.commands.run_training.train_finalists",
    ),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_signal_ends_every_command_with_its_code_and_the_command_that_continues(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, number: int
) -> None:
    nasbench201(tmp_path / "t.csv", 6)
    arguments, place = INTERRUPTED[name]
    monkeypatch.setattr(place, killing(number))
    code, _, err = call(name, *arguments)
    assert code == 128 + number
    command = err.removeprefix("nas_search: interrupted; to continue: ")
    assert command != err
    begin, words = shlex.split(command)[:3], shlex.split(command)[3:]
    assert begin == ["python", "-m", name]
    assert words[:-1] == list(arguments)
    assert re.fullmatch(r"hydra\.run\.dir=outputs/[-\d]+/[-\d]+", words[-1])


@pytest.mark.slow
def test_the_printed_command_continues_the_run(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from nas_search.scoring.task import ScoringTask

    evaluations = iter(range(3))
    candidate = ScoringTask.candidate

    def interrupted(self: ScoringTask, genotype: object) -> object:
        if next(evaluations, None) is None:
            raise KeyboardInterrupt
        return candidate(self, genotype)

    folder = "hydra.run.dir=my runs/${now:%Y} #1 (é)"
    with monkeypatch.context() as patch:
        patch.setattr(ScoringTask, "candidate", interrupted)
        code, out, err = call("nas_search", *TINY, folder)
    assert code == 130
    assert "interrupted after" in out
    command = shlex.split(err.partition("to continue: ")[2])
    code, out, _ = call("nas_search", *command[3:])
    assert code == 0
    (run,) = (tmp_path / "my runs").iterdir()
    assert "continuing after" in out
    assert len(open_run(run).evaluations) == 20
    assert open_run(run).score == "gradalign"
    # And the name of its folder is none to the commands that read it.
    shown = next(line for line in out.splitlines() if line.startswith("  python -m nas_search.tr"))
    assert shlex.split(shown)[3] == f"run={run.relative_to(tmp_path)}"
    code, out, err = call("nas_search.train", f"run={run}", "finalists.k=0")
    assert (code, err) == (2, "nas_search: finalists.k=0 trains nothing; set finalists.k=5\n")


def test_a_refused_request_leaves_no_folder_and_changes_none(call: Call, tmp_path: Path) -> None:
    few = (*TINY, "budget.evaluations=8")
    assert call("nas_search", *few, "seed=-1")[0] == 2
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    assert call("nas_search", *few, "dataset.size=2", "hydra.run.dir=mine/a/b")[0] == 2
    assert list((tmp_path / "mine").iterdir()) == []
    assert call("nas_search", *few, "dataset.size=2", "hydra.run.dir=mine")[0] == 2
    assert (tmp_path / "mine").is_dir()
    assert call("nas_search", *few, "hydra.run.dir=mine")[0] == 0
    files = {path: path.read_bytes() for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert not [path for path in files if path.suffix == ".log"]
    assert call("nas_search", *few, "seed=1", "hydra.run.dir=mine")[0] == 2
    assert call("nas_search", *few, "search_space.cells=4", "hydra.run.dir=mine")[0] == 2
    assert call("nas_search.train", "run=mine", "recipe.epochs=0", "hydra.run.dir=mine")[0] == 2
    assert files == {
        path: path.read_bytes() for path in (tmp_path / "mine").rglob("*") if path.is_file()
    }


def test_the_last_lines_say_why_it_ended_and_what_is_next(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("nas_search", *TINY)
    assert code == 0
    assert "finished: all 20 evaluations of the budget are made after" in out
    assert "as yet untrained" in out and "no accuracy" in out
    step = "next, train the three best by what trained networks have taught:\n"
    assert f"{step}  python -m nas_search.train run=outputs/" in out
    assert "nothing evolved" not in out
    minutes = ("budget.evaluations=500", "budget.minutes=0.001", "algorithm.population=100")
    _, out, _ = call("nas_search", *TINY, *minutes, "algorithm.tournament=9")
    assert re.search(r"the budget of 0.001 minutes is spent, \d+ of 500 evaluations are made", out)
    assert "nothing evolved yet: all" in out and "algorithm.population=10" in out


@pytest.mark.slow
def test_a_sweep_ends_with_a_table_and_its_best_can_be_trained(call: Call, tmp_path: Path) -> None:
    code, out, err = call(
        "nas_search", "-m", *TINY, "budget.evaluations=8", "hydra.sweep.dir=sweep",
        "proxy=gradalign,params", "seed=0,1",
    )  # fmt: skip
    assert (code, err) == (0, "")
    table = out[out.rindex("folder") :]
    assert set(table.split()[:3]) == {"folder", "seed", "proxy"}
    assert table.split()[3:6] == ["status", "best", "score"]
    assert "4 searches in sweep/; scores of different proxies, data or settings are not" in out
    assert "python -m nas_search.train run=sweep " in out
    for job in ("0", "1", "2", "3"):
        summary = json.loads((tmp_path / "sweep" / job / "summary.json").read_text())
        assert f"{summary['best_score']:.5g}" in table
    from hydra import compose, initialize_config_dir

    from nas_search.commands.command import CONF
    from nas_search.commands.train_schema import read_train_config

    with initialize_config_dir(CONF, version_base="1.3"):
        config = read_train_config(compose("train", overrides=["run=sweep"]))
    best = {
        json.loads((tmp_path / "sweep" / job / "best.json").read_text())["genotype"]
        for job in ("0", "1", "2", "3")
    }
    assert {one.architecture.genotype for one in config.candidates} == best
    assert {one.score for one in config.candidates} == {None}


class Seen:
    """Hydra's callback that writes down how each job ended."""

    statuses: list[str] = []  # noqa: RUF012

    def __init__(self, **_: object) -> None: ...

    def on_job_end(self, job_return: object, **_: object) -> None:
        self.statuses.append(job_return.status.name)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **_: None


@pytest.mark.slow
def test_callbacks_see_which_jobs_failed(call: Call) -> None:
    Seen.statuses.clear()
    spy = "+hydra.callbacks.spy._target_=tests.commands.test_endings.Seen"
    jobs = ("-m", *TINY, "budget.evaluations=8", "seed=0,-1,2", "hydra.sweep.dir=s", spy)
    code, out, err = call("nas_search", *jobs)
    assert code == 2
    assert Seen.statuses == ["COMPLETED", "FAILED", "COMPLETED"]
    assert err == "nas_search: seed=-1 must be 0 or more\n"
    assert "2 searches in s/" in out


def test_an_error_that_was_reported_in_another_process_is_not_reported_twice(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas_search.commands.command import Command

    command = Command("nas_search")
    error = InputError("wrong")
    command._fail(error)
    assert capsys.readouterr().err == "nas_search: wrong\n"
    other = Command("nas_search")
    other._fail(pickle.loads(pickle.dumps(error)))
    assert capsys.readouterr().err == ""
    assert other._exit_code == 2


@pytest.mark.slow
def test_a_sweep_by_joblib_ends_as_one_by_the_basic_launcher(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    jobs = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=-1,-2", "hydra.sweep.dir=s")
    done = subprocess.run(
        [sys.executable, "-m", "nas_search", "-m", *jobs],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "seed=-1 must be 0 or more" in done.stderr and "Traceback" not in done.stderr
    # No job has a folder; the table says why.
    left = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert left == [".sweep", "multirun.yaml", "sweep.csv"]
    assert (tmp_path / "s" / "sweep.csv").read_text().count("must be 0 or more") == 2


@pytest.mark.parametrize("module", MODULES)
def test_a_reader_that_goes_away_is_no_error(module: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m {module} --help | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    first, code = done.stdout.splitlines()
    assert first.startswith("nas_search")
    assert code in ("0", "141")


def test_names_are_no_markup_and_unknown_letters_no_error(tmp_path: Path) -> None:
    code = (
        "import sys; sys.stdout.reconfigure(encoding='ascii', errors='backslashreplace')\n"
        "from nas_search.commands.screen import screen\n"
        "screen().print('x[/b] :cat: [bold]é', soft_wrap=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "x[/b] :cat: [bold]\\xe9\n"


def test_a_mistake_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    mistakes = ("seed=-1", "budget.evaluations=9", "precision=fp16", "algorithm.population=1")
    code = (
        "import sys\n"
        "from nas_search.__main__ import main\n"
        f"for wrong in {mistakes}:\n"
        "    sys.argv = ['nas_search', wrong]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code == 2, wrong\n"
        "    assert 'torch' not in sys.modules, wrong\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 4 and all(line.startswith("nas_search: ") for line in lines), lines
