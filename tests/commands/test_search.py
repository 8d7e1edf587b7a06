"""The command: what it leaves behind, how it ends, and that no interruption changes a search."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import nas_search.__main__ as command
from nas_search import load
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.runs.store import Store
from nas_search.spaces import SPACES

TINY = (
    "search_space.cells=3",
    "search_space.channels=4",
    "proxy.batch_size=16",
    "proxy.normalization=frozen",
    "dataset.size=8",
    "algorithm.population=8",
    "algorithm.tournament=3",
    "budget.evaluations=20",
    "executor=inline",
)


@dataclass(frozen=True)
class Ended:
    """How a call of the command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Return the command as a function: main() in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str, base: Sequence[str] = TINY) -> Ended:
        flags = [argument for argument in arguments if argument == "-m"]  # Hydra wants them first
        values = [argument for argument in arguments if argument != "-m"]
        monkeypatch.setattr(sys, "argv", ["nas_search", *flags, *base, *values])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command.main()
        signal.signal(signal.SIGTERM, handler)
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


def start(directory: Path, *arguments: str, base: Sequence[str] = TINY) -> subprocess.Popen[str]:
    """Start the command as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "nas_search", *base, f"hydra.run.dir={directory}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell's background jobs ignore Ctrl-C, and so would all that they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(directory: Path, evaluations: int, process: subprocess.Popen[str]) -> None:
    """Wait until the run in ``directory`` has recorded so many evaluations."""
    store = directory / "run.sqlite"
    for _ in range(36000):  # starting two workers takes a minute where everything is busy
        assert process.poll() is None, process.communicate()
        if store.exists():
            try:
                connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
                (count,) = connection.execute("SELECT COUNT(*) FROM evaluations").fetchone()
                connection.close()
            except sqlite3.OperationalError:
                count = 0
            if count >= evaluations:
                return
        time.sleep(0.005)
    pytest.fail("the run did not get there in three minutes")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def history(directory: Path) -> list[tuple[str, str, str]]:
    found = rows(directory / "history.csv")
    return [(row["genotype"], row["status"], row["gradalign"]) for row in found]


def test_the_files_of_a_run_agree_with_each_other(call: Call, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = call("hydra.run.dir=run", "search_space.operations=[none,skip_connect,sep_conv_3x3]")
    assert ended.code == 0, ended.err
    assert ended.err == ""
    evaluations, board = rows(run / "history.csv"), rows(run / "leaderboard.csv")
    summary = json.loads((run / "summary.json").read_text())
    best = json.loads((run / "best.json").read_text())

    assert [int(row["number"]) for row in evaluations] == list(range(1, 21))
    statuses = [row["status"] for row in evaluations]
    assert {s: statuses.count(s) for s in set(statuses)} == summary["candidates"]
    assert summary["stop"] == "budget"

    scores = [float(row["gradalign"]) for row in board]
    assert scores == sorted(scores, reverse=True)
    assert len(board) == statuses.count("ok")
    assert [int(row["rank"]) for row in board] == list(range(1, len(board) + 1))
    for row in board:
        source = evaluations[int(row["number"]) - 1]
        for key in ("gradalign", "params", "macs", "genotype"):
            assert row[key] == source[key]

    assert best["genotype"] == board[0]["genotype"]
    assert best["scores"] == {"gradalign": scores[0]}
    assert (best["params"], best["macs"]) == (int(board[0]["params"]), int(board[0]["macs"]))
    assert summary["best_score"] == scores[0]
    assert best["number"] == int(board[0]["number"])

    connection = sqlite3.connect(run / "run.sqlite")
    stored = connection.execute("SELECT genotype, status FROM evaluations ORDER BY number")
    assert stored.fetchall() == [(row["genotype"], row["status"]) for row in evaluations]
    connection.close()

    assert "20/20 evaluations" in ended.out
    assert f"results in {run}" in ended.out
    ranks = re.findall(r"^ +(\d+) ", ended.out, re.MULTILINE)
    assert ranks[:10] == [str(n) for n in range(1, 11)]

    drawings = sorted(file.name for file in run.glob("cell_*.svg"))
    kinds = ("normal", "reduce")
    assert drawings == [f"cell_{rank}_{kind}.svg" for rank in (1, 2, 3) for kind in kinds]
    for drawing in drawings:
        assert ElementTree.parse(run / drawing).getroot().tag.endswith("svg")
    curve = matplotlib.image.imread(run / "search.png")
    assert curve.std() > 0.01  # not an empty page
    assert not list(run.glob("*.part"))


SIZES: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "darts": ({"cells": 3, "channels": 4}, {"cells": 6, "channels": 8}),
    "nasbench101": ({"modules_per_stack": 1, "channels": 5}, {"channels": 8}),
    "nasbench201": ({"cells": 1, "channels": 4}, {"cells": 2, "channels": 8}),
}
"""Sizes to search with and to build in, of the spaces of cells; others have tests of their own."""


@pytest.mark.parametrize(
    "space",
    [pytest.param(name, marks=[] if name == "nasbench201" else pytest.mark.slow) for name in SIZES],
)
def test_best_json_alone_rebuilds_the_network(call: Call, tmp_path: Path, space: str) -> None:
    base = [argument for argument in TINY if "search_space" not in argument]
    searched, wanted = SIZES[space]
    sizes = [f"search_space.{key}={value}" for key, value in searched.items()]
    assert call(f"search_space={space}", *sizes, "hydra.run.dir=run", base=base).code == 0
    facts = json.loads((tmp_path / "run" / "best.json").read_text())
    alone = tmp_path / "mailed.json"
    alone.write_bytes((tmp_path / "run" / "best.json").read_bytes())
    check = (
        "import sys, nas_search, torch\n"
        "network = nas_search.load(sys.argv[1]).build()\n"
        "assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 10)\n"
        "print(sum(p.numel() for p in network.parameters()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, str(alone)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == str(facts["params"]), done.stderr
    architecture = load(tmp_path / "run")  # the folder will do as well
    assert architecture.cost().macs == facts["macs"]
    larger = architecture.build(**wanted, input_shape=(1, 32, 32), num_classes=5)
    assert sum(p.numel() for p in larger.parameters()) > facts["params"]


@pytest.mark.slow
def test_the_seed_decides_the_history_and_the_workers_do_not(call: Call, tmp_path: Path) -> None:
    assert call("hydra.run.dir=a").code == 0
    assert call("hydra.run.dir=b").code == 0
    assert call("hydra.run.dir=c", "executor=processes", "executor.workers=2").code == 0
    assert call("hydra.run.dir=d", "seed=1").code == 0
    reference = history(tmp_path / "a")
    assert history(tmp_path / "b") == reference
    assert history(tmp_path / "c") == reference
    assert history(tmp_path / "d") != reference


@pytest.mark.parametrize("population", [None, 5])
@pytest.mark.slow
def test_killed_three_times_and_continued_is_the_same_search(
    call: Call, tmp_path: Path, population: int | None
) -> None:
    # Five at once do not divide the batches of eight: whole populations are scored again.
    options = ("budget.evaluations=60", f"executor.stack={population or 'null'}")
    run = tmp_path / "killed"
    rng = np.random.default_rng()
    for evaluations in (1, 10, 30):
        process = start(run, *options)
        wait_for(run, evaluations, process)
        time.sleep(rng.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    ended = call(f"hydra.run.dir={run}", *options)
    assert ended.code == 0, ended.err
    assert "continuing after " in ended.out
    workers = ("executor=processes", "executor.workers=2") if population else ()
    assert call("hydra.run.dir=whole", *options, *workers).code == 0
    assert history(run) == history(tmp_path / "whole")
    assert call("hydra.run.dir=short", *options, "budget.evaluations=43").code == 0
    assert history(tmp_path / "short") == history(run)[:43]


@pytest.mark.slow
def test_ctrl_c_leaves_the_best_so_far_and_the_command_continues(
    call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "interrupted"
    workers = ("executor=processes", "executor.workers=2")
    process = start(run, "budget.evaluations=3000", *workers)
    wait_for(run, 12, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, err = process.communicate(timeout=180)
    assert process.returncode == 130, err
    (line,) = err.splitlines()
    assert line.startswith("nas_search: interrupted; to continue: ")
    assert "interrupted after" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["stop"] == "interrupted"
    board, so_far = rows(run / "leaderboard.csv"), history(run)
    assert json.loads((run / "best.json").read_text())["genotype"] == board[0]["genotype"]
    assert 12 <= len(so_far) < 3000
    budget = f"budget.evaluations={len(so_far) + 10}"
    assert call(f"hydra.run.dir={run}", budget).code == 0
    assert call("hydra.run.dir=whole", budget).code == 0
    assert history(run) == history(tmp_path / "whole")
    assert history(run)[: len(so_far)] == so_far


@pytest.mark.slow
def test_a_finished_run_repeated_changes_nothing_and_a_larger_budget_continues(
    call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    # Bounds have proposals drawn again, by the same generator: the hard case of continuing.
    bounds = "constraints.max_params=8500"
    assert call("hydra.run.dir=run", bounds).code == 0
    assert {status for _, status, _ in history(run)} == {"ok"}

    def report() -> list[object]:
        files = [(run / name).read_bytes() for name in ("history.csv", "leaderboard.csv")]
        summary = json.loads((run / "summary.json").read_text())
        summary.pop("search_seconds")  # reading the record takes some milliseconds
        return [*files, (run / "best.json").read_bytes(), summary]

    before = report()
    again = call("hydra.run.dir=run", bounds)
    assert again.code == 0
    assert "continuing after" in again.out
    assert report() == before
    assert call("hydra.run.dir=run", bounds, "budget.evaluations=43").code == 0
    assert call("hydra.run.dir=whole", bounds, "budget.evaluations=43").code == 0
    assert history(run) == history(tmp_path / "whole")
    assert sum(status != "rejected" for _, status, _ in history(run)) == 43


@pytest.mark.slow
def test_a_finished_run_of_minutes_is_finished(call: Call, tmp_path: Path) -> None:
    minutes = ("hydra.run.dir=run", "budget.evaluations=null", "budget.minutes=0.01")
    assert call(*minutes).code == 0
    before = history(tmp_path / "run")
    assert call(*minutes).code == 0
    assert history(tmp_path / "run") == before


@pytest.mark.slow
def test_a_folder_of_another_run_is_refused(call: Call, tmp_path: Path) -> None:
    assert call("hydra.run.dir=run").code == 0
    before = history(tmp_path / "run")
    for change, words in (
        ("seed=1", "seed: 0 there, 1 here"),
        ("dataset.size=9", "probe_batch"),
        ("precision=bf16", 'precision: absent there, "bf16" here'),
    ):
        ended = call("hydra.run.dir=run", change)
        assert ended.code == 2
        assert words in ended.err
        assert "choose another hydra.run.dir" in ended.err
    assert call("hydra.run.dir=run").code == 0
    assert history(tmp_path / "run") == before
    assert call("hydra.run.dir=low", "precision=bf16").code == 0
    assert 'precision: "bf16" there, absent here' in call("hydra.run.dir=low").err


def test_the_values_that_were_used_are_stored_with_the_run(call: Call, tmp_path: Path) -> None:
    base = [a for a in TINY if not a.startswith(("proxy.", "algorithm.", "budget."))]
    few = ("algorithm=random", "budget.evaluations=2", "hydra.run.dir=run")
    assert call("proxy=swap", "proxy.repeats=2", *few, base=base).code == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["proxy"] == {
        **{"name": "swap", "batch_size": 16, "classes": None, "normalization": "batch"},
        **{"parameters": "weights", "init": "default", "repeats": 2},
    }


@pytest.mark.slow
def test_a_plugin_in_the_working_folder_is_found_however_the_command_is_started(
    tmp_path: Path,
) -> None:
    source = "from nas_search.proxies import PROXIES\nimport sys\nprint('imported', __file__)\n"
    (tmp_path / "beside.py").write_text(source)
    script = tmp_path / "bin" / "nas-search"
    script.parent.mkdir()
    script.write_text("from nas_search.__main__ import main\nmain()\n")  # as pip writes it
    for started in (["-m", "nas_search"], [str(script)]):
        done = subprocess.run(
            [sys.executable, *started, "plugins=[beside]", "proxy.name=nope"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.stdout == f"imported {tmp_path / 'beside.py'}\n", done.stderr
        assert "unknown proxy 'nope'" in done.stderr and done.returncode == 2


@pytest.mark.slow
def test_a_sweep_makes_a_folder_a_job_and_survives_a_bad_one(call: Call, tmp_path: Path) -> None:
    ended = call(
        "-m",
        "hydra.sweep.dir=sweep",
        "proxy=gradalign,gradalign_ii",
        "proxy.normalization=frozen",
        "seed=0,-1,2",
    )
    assert ended.code == 2
    assert ended.err.splitlines() == ["nas_search: seed=-1 must be 0 or more"] * 2
    left = {path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()}
    assert left == {".sweep", "0", "2", "3", "5"}  # a job that was refused leaves no folder
    found = {path.parent.name: path for path in (tmp_path / "sweep").glob("*/summary.json")}
    assert sorted(found) == ["0", "2", "3", "5"]
    jobs = [json.loads(found[number].read_text()) for number in sorted(found)]
    assert [(job["proxy"]["name"], job["seed"]) for job in jobs] == [
        (proxy, seed) for proxy in ("gradalign", "gradalign_ii") for seed in (0, 2)
    ]


def test_ctrl_c_ends_a_whole_sweep(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas_search.scoring.task.ScoringTask.candidate", interrupted)
    ended = call("-m", "hydra.sweep.dir=sweep", "seed=0,1,2")
    assert ended.code == 130
    assert ended.err.startswith("nas_search: interrupted; to continue: python -m nas_search -m ")
    assert ended.err.endswith(" hydra.sweep.dir=sweep\n")
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()) == [
        ".sweep",
        "0",
    ]


def _broken_files(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "a file").write_text("x")
    (folder / "broken.npz").write_bytes(b"PK\3\4 not an archive")
    images = np.zeros((40, 4, 4), np.uint8)
    np.savez(folder / "small.npz", x_train=images, y_train=np.arange(40) % 4)
    store = folder / "corrupt"
    store.mkdir()
    (store / "run.sqlite").write_bytes(b"nonsense" * 1000)


BAD = [
    (
        2,
        "search_space=nope",
        f"unknown search_space 'nope'; possible: {', '.join(SPACES.names())}",
    ),
    (2, "proxy=nope", "unknown proxy 'nope'; possible: az_expressivity, .*gradalign, "),
    (2, "proxy=az_nas", r"has no score for one candidate.* nas_search.rank 'proxies=\[az_nas\]'"),
    (2, "proxy=aggregate", "nas_search.rank 'aggregates={mine: .NAME, NAME.}'"),
    (2, "proxy.normalisation=eval", "proxy.normalisation is now called proxy.normalization"),
    (2, "executor.population=4", "executor.population is now called executor.stack; rename it"),
    (2, "algorithm=nope", "unknown algorithm 'nope'; possible: .*random, regularized_evolution"),
    (2, "dataset=nope", "unknown dataset 'nope'; possible: aeon, cifar10"),
    (2, "budget=nope", "unknown budget 'nope'; possible: quick, standard, thorough"),
    (2, "proxy=GradAlign", "unknown proxy 'GradAlign' .did you mean proxy=gradalign.."),
    (2, "budget=500", "did you mean budget.evaluations=500"),
    (2, "finalists=3", "did you mean finalists.k=3"),
    (2, "dataset=empty", "did you mean dataset=imagefolder dataset.path=empty"),
    (2, "evaluations=5", "unknown key 'evaluations' .did you mean budget.evaluations.."),
    (2, "budget.evaluation=5", "unknown key 'budget.evaluation' .did you mean budget.evaluations"),
    (2, "path=x", "unknown key 'path' .did you mean .*dataset.path"),
    (2, "recipe.optimiser.lr=1", "did you mean recipe.optimizer.lr"),
    (2, "device=grün", "type 'device='"),
    (2, "executor=nope", "unknown executor 'nope'; possible: auto"),
    (2, "search_space=null", "null|NoneType|None"),
    (2, "search_space.name=nope", "unknown search_space 'nope'"),
    (2, "foo=1", "unknown key 'foo'"),
    (2, "proxy.foo=1", "unknown key 'proxy.foo'"),
    (2, "+proxy.foo=1", "unknown key 'proxy.foo'; possible: batch_size"),
    (2, "~seed", "seed is missing"),
    (2, "~dataset", "dataset"),
    (2, "seed=abc", "seed: Value 'abc' of type 'str' could not be converted to Integer"),
    (2, "seed=${nowhere}", "nowhere"),
    (2, "seed=???", "seed"),
    (2, "seed='", "seed"),
    (2, "seed", "seed"),
    (2, "seed=1,2", "--multirun"),
    (2, "budget.evaluations=0", "budget.evaluations=0 must be 1 or more"),
    (2, "budget.evaluations=4", "does not even fill the first population"),
    (2, "budget={evaluations:null,minutes:null}", "endless"),
    (2, "search_space.cells=2", "cells"),
    (2, "search_space.channels=1000000000", "channels must be at most 1,048,576"),
    (2, "search_space.operations=[nope]", "no operation 'nope'"),
    (1, "search_space.operations=[none]", "none of the 1 candidates got a score"),
    (2, "constraints.max_params=1", "nearest has [0-9,]+ parameters .constraints.max_params=1"),
    (2, "constraints.max_macs=1", "nearest has [0-9,]+ MACs .constraints.max_macs=1"),
    (2, "proxy.batch_size=5000", "has only 1438 training images"),
    (2, "proxy.classes=11", "11 classes are requested, but dataset 'digits' has 10"),
    (2, "proxy.normalization=nope", "possible: sample, frozen, batch, eval"),
    (2, "proxy.repeats=0", "proxy.repeats=0 must be 1 or more"),
    (2, "device=cuda:99", "device=cuda:99"),
    (2, "device=tpu", "possible: auto, cpu, cuda, cuda:N"),
    (2, "dataset.size=2", "dataset.size=2"),
    (2, "dataset=npz", "needs a file; add dataset.path=FILE"),
    (2, "dataset=npz dataset.path=absent.npz", "there is no file absent.npz"),
    (2, "dataset=npz dataset.path=broken.npz", "cannot read broken.npz"),
    (2, "dataset=npz dataset.path=small.npz", "images of 4 x 4, .* enlarge them with"),
    (2, "dataset=imagefolder dataset.path=absent", "there is no folder absent"),
    (2, "dataset=imagefolder dataset.path=empty", "0 class folders"),
    (1, "hydra.run.dir=a file", "File exists; choose another hydra.run.dir"),
    (1, "hydra.run.dir=a file/below", "Not a directory; choose another hydra.run.dir"),
    (1, "hydra.run.dir=corrupt", "not a readable store"),
]


@pytest.mark.parametrize(("code", "argument", "message"), BAD, ids=[b[1] for b in BAD])
def test_bad_input_is_one_line(
    call: Call, tmp_path: Path, code: int, argument: str, message: str
) -> None:
    _broken_files(tmp_path)
    base: Sequence[str] = TINY
    if argument.startswith(("~dataset", "dataset=")):
        base = [a for a in TINY if not a.startswith("dataset.")]
    arguments = argument.split(" dataset.")
    arguments[1:] = [f"dataset.{value}" for value in arguments[1:]]
    if not argument.startswith("hydra.run.dir"):
        arguments.append("hydra.run.dir=run")
    ended = call(*arguments, base=base)
    assert ended.code == code, ended.err
    assert ended.err.startswith("nas_search: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1
    assert re.search(message, ended.err), ended.err
    assert "Traceback" not in ended.out + ended.err
    if code == 2:  # a refused request leaves no folder
        assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_with_one_line_and_loses_nothing(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Store.append

    def limited(self: Store, evaluation: Evaluation, elapsed: float) -> None:
        if len(self.evaluations()) == 11:
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            self._connection.execute(f"PRAGMA max_page_count = {pages}")
            evaluation = Evaluation("x" * 100_000, "", "ok")
        append(self, evaluation, elapsed)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", limited)
        ended = call("hydra.run.dir=run")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "free space and repeat the command: it continues" in ended.err
    assert "continuing after 11 evaluations" in call("hydra.run.dir=run").out
    assert call("hydra.run.dir=whole").code == 0
    assert history(tmp_path / "run") == history(tmp_path / "whole")


def test_a_report_that_cannot_be_written_loses_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "run" / "history.csv").mkdir(parents=True)
    ended = call("hydra.run.dir=run")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "every evaluation is in run.sqlite" in ended.err
    (tmp_path / "run" / "history.csv").rmdir()
    assert "continuing after 20" in call("hydra.run.dir=run").out
    assert len(history(tmp_path / "run")) == 20


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "not json",
        '{"search_space": "nope"}',
        '{"search_space": ["darts"], "genotype": "x", "input_shape": [3, 8, 8],'
        ' "num_classes": 10, "macro": {}, "space_options": {}}',
        '{"search_space": "darts", "genotype": 5, "input_shape": [3, 8, 8],'
        ' "num_classes": 10, "macro": {}, "space_options": {}}',
        '{"search_space": "darts", "genotype": "DARTS_V2", "input_shape": [3, 8, 8],'
        ' "num_classes": 10, "macro": {}, "space_options": {"odd": 1}}',
        '{"search_space": "darts", "genotype": "Genotype(", "input_shape": [3, 8, 8],'
        ' "num_classes": 10, "macro": {}, "space_options": {}}',
    ],
)
def test_a_broken_best_json_is_said(tmp_path: Path, content: str) -> None:
    file = tmp_path / "best.json"
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        load(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "absent.json")
