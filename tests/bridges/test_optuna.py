"""A search as trials of Optuna's: read back by Optuna, and shown by the real optuna-dashboard."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from nas_search.bridges.optuna_storage import study_name
from nas_search.bridges.optuna_trials import value_of
from nas_search.commands.report import main
from nas_search.commands.to_optuna import copy_to_optuna
from nas_search.core.errors import InputError, RunError
from nas_search.core.evaluation import Evaluation
from nas_search.core.objectives import Objective
from nas_search.runs.run import open_run
from nas_search.runs.store import Store
from nas_search.search.guided import TRAINED
from tests.pages.material import FACTS, SPACE, evaluations, make_run


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of a search and the storage that it was copied to."""
    at = tmp_path_factory.mktemp("optuna")
    folder, url = make_run(at / "day" / "run", 12), f"sqlite:///{at}/trials.db"
    (done,) = copy_to_optuna(folder, url)
    assert (done.study, done.new, done.known) == ("day/run", 12, 0)
    return folder, url


def test_every_evaluation_is_a_trial_with_its_choices_value_and_reason(
    copied: tuple[Path, str],
) -> None:
    folder, url = copied
    study = optuna.load_study(study_name=study_name(folder), storage=url)
    told = open_run(folder).evaluations
    assert len(study.trials) == len(told) == 12
    for n, (trial, one) in enumerate(zip(study.trials, told, strict=True), 1):
        assert trial.user_attrs["genotype"] == one.genotype and trial.user_attrs["number"] == n
        if one.status != "ok":
            assert trial.state == TrialState.FAIL and trial.values is None
            assert trial.user_attrs["reason"] == one.reason and not trial.params
            continue
        assert trial.state == TrialState.COMPLETE and trial.value == one.scores["gradalign"]
        genotype = SPACE.parse(one.genotype)
        assert list(trial.params.values()) == list(genotype.operations)
        assert list(trial.params)[:2] == ["edge 0-1", "edge 0-2"]
        names = {one.choices for one in trial.distributions.values()}  # type: ignore[attr-defined]
        assert names == {("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")}
        assert trial.duration is not None and trial.duration.total_seconds() == 0.25
    assert study.best_value == max(e.scores["gradalign"] for e in told if e.scores)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["gradalign"] and study.user_attrs["seed"] == 0


def test_a_second_copy_adds_only_what_is_new(tmp_path: Path) -> None:
    folder, url = make_run(tmp_path / "run", 3, ended=False), f"sqlite:///{tmp_path}/t.db"
    list(copy_to_optuna(folder, url, "mine"))
    (again,) = copy_to_optuna(folder, url, "mine")
    assert (again.new, again.known) == (0, 3)
    with Store(folder / "run.sqlite") as store:  # the search goes on
        store.append(evaluations(4)[3], 3.0)
    (more,) = copy_to_optuna(folder, url, "mine")
    assert (more.new, more.known) == (1, 3)
    trials = optuna.load_study(study_name="mine", storage=url).trials
    assert [t.user_attrs["number"] for t in trials] == [1, 2, 3, 4]


def test_a_study_of_another_search_is_refused_and_left_as_it_is(
    copied: tuple[Path, str], tmp_path: Path
) -> None:
    folder, url = copied
    other = make_run(tmp_path / "other", 15, seed=5)
    with pytest.raises(InputError, match=r"not a copy of the beginning.*--study"):
        list(copy_to_optuna(other, url, study_name(folder)))
    assert len(optuna.load_study(study_name=study_name(folder), storage=url).trials) == 12


def test_several_objectives_keep_their_directions(tmp_path: Path) -> None:
    folder, url = tmp_path / "several", f"sqlite:///{tmp_path}/t.db"
    folder.mkdir()
    told = evaluations(5)
    with Store(folder / "run.sqlite") as store:
        store.claim({**FACTS, "objectives": ["max:gradalign", "min:params"]}, {"parents": []})
        for one in told:
            store.append(one, 1.0)
    (done,) = copy_to_optuna(folder, url)
    study = optuna.load_study(study_name=done.study, storage=url)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    pairs = [[e.scores["gradalign"], float(e.params or 0)] for e in told if e.status == "ok"]
    assert [t.values for t in study.trials if t.values] == pairs
    best = {tuple(t.values) for t in study.best_trials}
    front = {
        (a, b)
        for a, b in pairs
        if not any(c >= a and d <= b and (c, d) != (a, b) for c, d in pairs)
    }
    assert best == front


def test_a_training_has_the_score_of_its_candidate() -> None:
    scored = Evaluation("a", "key", "ok", {"gradalign": 2.0})
    trained = Evaluation("a", "key", "ok", {TRAINED: 81.0})
    lost = Evaluation("b", "other", "failed", reason="it diverged")
    objectives = (Objective("gradalign"),)
    assert value_of(objectives, [scored, trained, lost], 2) == (2.0,)
    assert value_of(objectives, [scored, trained, lost], 3) is None


def test_a_sweep_is_one_study_per_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, url = tmp_path / "sweep", f"sqlite:///{tmp_path}/t.db"
    for seed in (0, 1):
        make_run(sweep / str(seed), 2, seed)
    with pytest.raises(SystemExit) as ended:
        main([str(sweep), "--to-optuna", url, "--study", "both"])
    assert ended.value.code == 0
    assert optuna.get_all_study_names(url) == ["both/0", "both/1"]
    said = capsys.readouterr().out.splitlines()
    assert said == [
        *(f"study both/{n}: 2 trials are new" for n in (0, 1)),
        f"to look at them: optuna-dashboard {url}",
    ]
    assert not list(sweep.rglob("report.html"))


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("trials.db", 2, "sqlite:///trials.db"),
        ("nosuch://x", 2, "no storage that can be opened"),
        ("nosuch://me:secret@x/y", 2, "nosuch://me:***@x/y is no storage"),
        ("sqlite:////nosuch/folder/trials.db", 1, "unable to open database file"),
    ],
)
def test_what_is_no_storage_is_one_line(
    copied: tuple[Path, str], url: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(copied[0]), "--to-optuna", url])
    said = capsys.readouterr().err
    assert ended.value.code == code and says in said and len(said.splitlines()) == 1


def test_a_folder_without_a_search_and_a_missing_package_are_refused(
    tmp_path: Path, copied: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="holds no search or sweep"):
        list(copy_to_optuna(tmp_path, copied[1]))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"--to-optuna needs optuna: pip install .*\[optuna\]"):
        list(copy_to_optuna(*copied))


def test_a_broken_database_is_no_traceback(copied: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "t.db").write_bytes(b"no database" * 100)
    with pytest.raises(RunError, match="file is not a database"):
        list(copy_to_optuna(copied[0], f"sqlite:///{tmp_path}/t.db"))


@pytest.fixture
def dashboard(copied: tuple[Path, str]) -> Iterator[str]:
    """Run the real optuna-dashboard on loopback and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = shutil.which("optuna-dashboard", path=str(Path(sys.executable).parent))
    assert program, "optuna-dashboard is in the extra test"
    given = [program, copied[1], "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _get(address: str, seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.slow
def test_the_real_dashboard_shows_the_trials_and_the_best(
    copied: tuple[Path, str], dashboard: str
) -> None:
    told = open_run(copied[0]).evaluations
    (study,) = _get(f"{dashboard}/api/studies")["study_summaries"]
    assert study["study_name"] == "day/run" and study["directions"] == ["maximize"]
    shown = _get(f"{dashboard}/api/studies/{study['study_id']}?after=0")
    trials = shown["trials"]
    assert len(trials) == len(told)
    states = [trial["state"] for trial in trials]
    assert states.count("Fail") == sum(e.status == "failed" for e in told) > 0
    values = [trial["values"][0] for trial in trials if trial["state"] == "Complete"]
    best = max(e.scores["gradalign"] for e in told if e.scores)
    assert max(values) == best
    assert [trial["values"] for trial in shown["best_trials"]] == [[best]]
    assert shown["objective_names"] == ["gradalign"]
    assert {p["name"] for p in shown["union_search_space"]} >= {"edge 0-1", "edge 2-3"}
