"""Sweeps: one table also while they run, repeating runs what is missing, failures with reasons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import nas_search.sweep as sweep_command
from nas_search.commands.sweep_jobs import Note, begun, jobs_of, read_note, write_note
from nas_search.commands.sweep_report import read_sweep
from nas_search.core.evaluation import Evaluation
from nas_search.runs.lock import Lock
from nas_search.runs.store import Store
from tests.commands.test_search import Ended, call, rows  # noqa: F401

Call = Callable[..., Ended]
SMALL = (
    "search_space=nasbench201",
    "search_space.cells=1",
    "search_space.channels=4",
    "proxy.batch_size=10",
    "dataset.size=8",
    "algorithm=random",
    "budget.evaluations=3",
    "executor=inline",
    "hydra.sweep.dir=s",
)


@pytest.fixture
def table(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Ended]:
    """Return ``python -m nas_search.sweep`` as a function of the folder."""

    def run(folder: Path) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            sweep_command.main([str(folder)])
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.mark.slow
def test_repeating_a_sweep_runs_what_is_missing(
    call: Call,  # noqa: F811
    table: Callable[[Path], Ended],
    tmp_path: Path,
) -> None:
    sweep = tmp_path / "s"
    ended = call("-m", "seed=0,1,-1", base=SMALL)
    assert ended.code == 2
    assert "2: failed: seed=-1 must be 0 or more" in ended.out
    assert [note.status for note in jobs_of(sweep)] == ["finished", "finished", "failed"]
    written = (sweep / "0" / "leaderboard.csv").stat().st_mtime_ns
    (sweep / "1" / "summary.json").unlink()  # as if somebody had cleaned up: it is run again

    again = call("-m", "seed=0,1,-1", base=SMALL)
    assert again.code == 2
    assert "job 0 is finished" in again.out and "job 1 is finished" not in again.out
    assert (sweep / "0" / "leaderboard.csv").stat().st_mtime_ns == written
    assert (sweep / "1" / "summary.json").exists()

    longer = call("-m", "seed=0,1,-1", "budget.evaluations=4", base=SMALL)  # another configuration
    assert "is finished:" not in longer.out
    assert "continuing after 3 evaluations" in longer.out
    board = [float(row["gradalign"]) for row in rows(sweep / "0" / "leaderboard.csv")]
    jobs = rows(sweep / "sweep.csv")
    assert [row["status"] for row in jobs] == ["finished", "finished", "failed"]
    assert float(jobs[0]["found"]) == max(board)
    assert jobs[2]["reason"] == "seed=-1 must be 0 or more"
    shown = table(sweep)
    assert shown.code == 1
    assert "2 of 3" in shown.out


def made(sweep: Path, number: int, scores: list[float], **objectives: object) -> None:
    """Write the store of a job, and the note of one that runs in this process."""
    folder = sweep / str(number)
    folder.mkdir(parents=True)
    facts = {"dataset": "digits", "dataset_options": {}, "search_space": {"name": "x"}}
    with Store(folder / "run.sqlite") as store:
        store.claim({**facts, "proxy": {"name": "zen"}, **objectives})
        for place, score in enumerate(scores):
            status = "ok" if score > 0 else "failed"
            known = {"zen": score} if score > 0 else {}
            reason = "" if score > 0 else "it fell over"
            store.append(
                Evaluation(f"{place}", f"{place}", status, known, 1, place, 0.0, reason),  # type: ignore[arg-type]
                1.0,
            )
    write_note(
        sweep, begun(number, str(number), [f"proxy={number % 2}", f"seed={number // 2}"], "")
    )


def test_the_table_of_a_running_sweep_has_every_job_and_the_figures_of_its_seeds(
    table: Callable[[Path], Ended], tmp_path: Path
) -> None:
    sweep = tmp_path / "s"
    for number, scores in enumerate(([1.0, 3.0], [5.0], [4.0], [7.0, -1.0, -1.0])):
        made(sweep, number, scores)
    for number in (0, 1, 2):
        note = read_note(sweep, number)
        assert note is not None
        write_note(sweep, replace(note, status="finished"))
    typed = ["seed=0,1,2", "proxy=0,1"]
    (sweep / "multirun.yaml").write_text(
        json.dumps(
            {
                "hydra": {
                    "sweeper": {
                        "_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
                    },
                    "overrides": {"task": typed},
                }
            }
        )
    )
    ended = table(sweep)
    assert ended.code == 3, ended.err  # some are missing
    jobs = rows(sweep / "sweep.csv")
    assert [row["status"] for row in jobs] == [*["finished"] * 3, "running", *["not begun"] * 2]
    assert [row["found"] for row in jobs] == ["3.0", "5.0", "4.0", "7.0", "", ""]
    assert [row["failed"] for row in jobs] == ["0", "0", "0", "2", "0", "0"]
    assert "3: 2 of 3 candidates failed; most often (2 times): it fell over" in ended.out
    summary = ended.out[ended.out.index("mean best score") :].splitlines()
    assert summary[2].split() == ["0", "2", "of", "3", "3.5", "0.71", "4", "0"]
    assert summary[3].split() == ["1", "1", "of", "3", "5", "-", "5", "0"]  # running ones wait


def test_a_job_whose_process_has_gone_is_interrupted_unless_its_run_is_locked(
    tmp_path: Path,
) -> None:
    sweep = tmp_path / "s"
    made(sweep, 0, [1.0])
    note = read_note(sweep, 0)
    assert note is not None
    assert jobs_of(sweep)[0].status == "running"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_note(sweep, replace(note, process=gone.pid))
    assert jobs_of(sweep)[0].status == "interrupted"
    write_note(sweep, replace(note, host="another machine"))
    assert jobs_of(sweep)[0].status == "interrupted"
    lock = Lock(sweep / "0" / "run.lock")
    assert jobs_of(sweep)[0].status == "running"
    lock.close()


def test_fronts_of_a_sweep_are_compared_in_one_box(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    several = {"objectives": ["max:zen", "min:macs"]}
    made(sweep, 0, [1.0, 2.0, 3.0], **several)
    made(sweep, 1, [1.0, 1.5], **several)
    first, second = read_sweep(sweep)
    assert first.found == pytest.approx(1.0)  # its front is that of both
    assert second.found is not None and 0 < second.found < 1


def test_what_is_no_sweep_is_refused_and_damaged_notes_are_left_out(
    table: Callable[[Path], Ended], tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        ended = table(folder)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "is not the folder of a sweep" in ended.err
    sweep = tmp_path / "s"
    write_note(sweep, Note(0, "0", ("seed=0",), "finished"))
    for number, text in enumerate(("{", "[]", '{"number": 3}', "null"), 1):
        (sweep / ".sweep" / f"{number}.json").write_text(text)
    write_note(sweep, Note(5, "../elsewhere", (), "finished"))
    assert [note.number for note in jobs_of(sweep)] == [0]


LAUNCHED = ("budget.evaluations=3", "seed=0,-1", "hydra.sweep.dir=s")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_ends_with_the_same_table_and_exit_code(tmp_path: Path, launcher: str) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    options = {
        "joblib": "hydra.launcher.n_jobs=2",
        "submitit_local": "hydra.launcher.timeout_min=9",
    }
    command = [
        *(sys.executable, "-m", "nas_search", "-m", *SMALL, *LAUNCHED),
        *(f"hydra/launcher={launcher}", options[launcher]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "1: failed: seed=-1 must be 0 or more" in done.stdout
    assert [note.status for note in jobs_of(tmp_path / "s")] == ["finished", "failed"]


@pytest.mark.slow
def test_a_sweep_that_is_killed_shows_so_and_continues(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "nas_search", "-m", *SMALL, "seed=0,1"),
        "budget.evaluations=60",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE
    )
    store = tmp_path / "s" / "0" / "run.sqlite"
    for _ in range(1200):
        if store.exists() and jobs_of(tmp_path / "s")[0].status == "running":
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [note.status for note in jobs_of(tmp_path / "s")] == ["interrupted", "not begun"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert [note.status for note in jobs_of(tmp_path / "s")] == ["finished", "finished"]
