"""``python -m nas_search.train`` and the search command's finalists, as a user runs them."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import nas_search
from nas_search.commands import search as search_command
from nas_search.commands import train as train_command
from nas_search.data import DATASETS
from nas_search.priors import shipped_prior
from nas_search.runs import open_run
from nas_search.spaces import SPACES
from nas_search.training.verdict import chance
from tests.training.made import CELLS, stripes, stripes_data

FAST = (
    *("recipe.epochs=3", "recipe.batch_size=16", "recipe.validation=0.25", "recipe.ema=null"),
    *("recipe.min_steps=0", "device=cpu"),
)
TINY = ("search_space=nasbench201", "search_space.cells=1", "search_space.channels=2")


def command(module: str, directory: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, f"hydra.run.dir={directory}", *arguments]


def run(module: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which saves the seconds of importing torch once more."""
    main = {"nas_search": search_command.main, "nas_search.train": train_command.main}[module]
    words = [module, f"hydra.run.dir={directory}", *arguments]
    handler = signal.getsignal(signal.SIGTERM)
    with (
        pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended,
        redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err,
    ):  # fmt: skip
        patch.setattr(sys, "argv", words)
        main()
    signal.signal(signal.SIGTERM, handler)
    code = int(ended.value.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def train(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("nas_search.train", directory, *arguments)


def data(folder: Path, **sizes: int) -> tuple[str, ...]:
    return ("dataset=npz", f"dataset.path={stripes(folder, **sizes)}")


def table(directory: Path) -> list[dict[str, str]]:
    with (directory / "finalists" / "finalists.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def in_order(rows: list[dict[str, str]], images: int) -> None:
    """By accuracy; those that ``images`` validation images do not tell from the best by loss."""
    accuracies = [float(row["validation_accuracy"]) for row in rows]
    margin = chance(max(accuracies), images)
    ahead = [row for row in rows if float(row["validation_accuracy"]) >= max(accuracies) - margin]
    losses = [float(row["validation_loss"]) for row in ahead]
    assert rows[: len(ahead)] == ahead and losses == sorted(losses)
    assert accuracies[len(ahead) :] == sorted(accuracies[len(ahead) :], reverse=True)


def metrics(directory: Path, key: str) -> dict[str, Any]:
    text = (directory / "finalists" / key / "metrics.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_search_trains_its_finalists_and_tests_the_winner_alone(tmp_path: Path) -> None:
    search = (
        *(*TINY, *data(tmp_path), "proxy=naswot", "proxy.batch_size=12", "executor=inline"),
        *("algorithm=random", "budget.evaluations=12", "finalists.k=2", *FAST),
    )
    done = run("nas_search", tmp_path / "a", *search)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "a")
    assert len(rows) == 2 and {row["status"] for row in rows} == {"trained"}
    in_order(rows, 15)
    assert [bool(row["test_accuracy"]) for row in rows] == [True, False]
    assert f"test accuracy {float(rows[0]['test_accuracy']):.2f}" in done.stdout
    for row in rows:
        folder = tmp_path / "a" / "finalists" / row["key"]
        names = {path.name for path in folder.iterdir()}
        assert names == {
            *("model.py", "weights.safetensors", "genotype.json", "metrics.json", "recipe.yaml"),
            *("preprocessing.json", "curve.png", "seed0"),
            *(["confusion.csv"] if row["rank"] == "1" else []),
        }
        assert len((folder / "seed0" / "log.csv").read_text().splitlines()) == 4
    # Later, in a directory of its own, by the other command: the same trainings.
    later = train(tmp_path / "b", f"run={tmp_path / 'a'}", "finalists.k=2", *FAST)
    assert later.returncode == 0, later.stderr
    untimed = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in table(tmp_path / "b")] == (
        untimed
    )
    # Once more: nothing is trained again.
    trained = table(tmp_path / "b")
    again = train(tmp_path / "b", f"run={tmp_path / 'a'}", "finalists.k=2", *FAST)
    assert "epoch" not in again.stdout.replace("epochs", "")
    assert table(tmp_path / "b") == trained  # also the seconds: those of the epochs as logged


def check_digits(directory: Path, stdout: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three different networks, best first; the winner's folder is as good as it was said to be."""
    rows = table(directory)
    assert [row["status"] for row in rows] == ["trained"] * 3
    assert len({row["key"] for row in rows}) == len({row["genotype"] for row in rows}) == 3
    folders = {path.name for path in (directory / "finalists").iterdir() if path.is_dir()}
    assert folders == {row["key"] for row in rows}
    in_order(rows, 143)
    accuracy = float(rows[0]["test_accuracy"])
    assert accuracy > 80  # by chance 10
    assert f"number 1, {rows[0]['key']}: test accuracy {accuracy:.2f} %" in stdout
    record = DATASETS.get("digits")
    test = record.load(record.options(size=size)).test
    folder = directory / "finalists" / rows[0]["key"]
    monkeypatch.delitem(sys.modules, "model", raising=False)
    monkeypatch.syspath_prepend(folder)
    model = importlib.import_module("model")
    monkeypatch.delitem(sys.modules, "model")
    said = model.predict(model.load(), test.read(torch.arange(len(test))))
    right = sum(one.name == str(int(label)) for one, label in zip(said, test.labels, strict=True))
    assert accuracy == round(100 * right / len(test), 4)


@pytest.mark.slow
def test_digits_from_nothing_to_a_trained_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's command in small: real digits, evolution by the default score, `fast`."""
    words = command(
        "nas_search", tmp_path / "a", "finalists.k=3", "search_space.cells=3",
        "search_space.channels=8", "dataset.size=8", "budget.evaluations=20",
        "algorithm.population=8", "algorithm.tournament=4", "recipe.epochs=6",
        "recipe.min_steps=0", "device=cpu",
    )  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check_digits(tmp_path / "a", done.stdout, 8, monkeypatch)
    # Of a search of darts by gradalign without a word: the best by the prior.
    assert "finalists are the best by the prior of darts, what trained networks" in done.stdout
    scored = [one.genotype for one in open_run(tmp_path / "a").evaluations if one.status == "ok"]
    predicted, _ = shipped_prior(SPACES.get("darts").space()).predict(scored)
    expected = dict(zip(scored, predicted.tolist(), strict=True))
    rows = table(tmp_path / "a")
    for row in rows:
        assert float(row["score"]) == pytest.approx(expected[row["genotype"]], rel=1e-6)
    assert max(float(row["score"]) for row in rows) == pytest.approx(predicted.max(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_killed_and_continued_is_uninterrupted(tmp_path: Path) -> None:
    arguments = (
        f'architecture="{CELLS["nasbench201"]}"', *TINY, *data(tmp_path, n=600, side=16),
        *FAST, "recipe.epochs=6", "recipe.drop_path=0.2",
    )  # fmt: skip
    whole = train(tmp_path / "whole", *arguments)
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(
        command("nas_search.train", tmp_path / "cut", *arguments), stdout=subprocess.DEVNULL
    )
    for _ in range(600):
        time.sleep(0.1)
        if list((tmp_path / "cut").glob("finalists/*/seed0/log.csv")):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (log,) = (tmp_path / "cut").glob("finalists/*/seed0/log.csv")
    assert len(log.read_text().splitlines()) < 7, "it was finished before it was killed"
    rest = train(tmp_path / "cut", *arguments)
    assert rest.returncode == 0, rest.stderr
    (key,) = {row["key"] for row in table(tmp_path / "whole")}
    first, second = (
        load_file(tmp_path / name / "finalists" / key / "weights.safetensors")
        for name in ("whole", "cut")
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    names = ("test_accuracy", "validation_accuracy")
    assert [metrics(tmp_path / "cut", key)[n] for n in names] == [
        metrics(tmp_path / "whole", key)[n] for n in names
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_one_that_fails_leaves_the_others(tmp_path: Path) -> None:
    """A folder in the way of one finalist's checkpoint stands for a disk that refuses."""
    cells = [
        CELLS["nasbench201"],
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
    ]
    arguments = (
        'architecture=["' + '","'.join(cells) + '"]', *TINY, *data(tmp_path), *FAST,
    )  # fmt: skip
    assert train(tmp_path / "a", *arguments).returncode == 0
    broken = table(tmp_path / "a")[0]["key"]
    folder = tmp_path / "b" / "finalists" / broken / "seed0" / "log.csv"
    folder.mkdir(parents=True)
    done = train(tmp_path / "b", *arguments)
    rows = table(tmp_path / "b")
    assert [row["status"] for row in rows] == ["trained", "failed"], done.stdout + done.stderr
    assert rows[1]["key"] == broken and "log.csv" in rows[1]["reason"]
    assert rows[0]["test_accuracy"] and done.returncode == 0
    folder.rmdir()
    mended = train(tmp_path / "b", *arguments)
    assert mended.returncode == 0, mended.stderr
    assert [row["validation_accuracy"] for row in table(tmp_path / "b")] == [
        row["validation_accuracy"] for row in table(tmp_path / "a")
    ]


@pytest.mark.slow
def test_a_loss_that_is_no_number_fails_with_what_to_do(tmp_path: Path) -> None:
    done = train(
        tmp_path / "a", f'architecture="{CELLS["nasbench201"]}"', *TINY, *data(tmp_path), *FAST,
        "recipe.optimizer.lr=1e30", "recipe.optimizer.clip=null",
    )  # fmt: skip
    assert done.returncode == 1
    assert "lower recipe.optimizer.lr" in done.stderr and "Traceback" not in done.stderr
    assert table(tmp_path / "a")[0]["status"] == "failed"


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_halving_stops_the_hopeless_and_seeds_are_averaged(tmp_path: Path) -> None:
    search = (
        *(*TINY, *data(tmp_path), "proxy=naswot", "proxy.batch_size=12", "executor=inline"),
        *("algorithm=random", "budget.evaluations=12", "finalists.k=4", "finalists.halving=2"),
        *("finalists.seeds=[0,1]", *FAST, "recipe.epochs=4"),
    )
    done = run("nas_search", tmp_path / "a", *search)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "a")
    assert [(row["status"], row["epochs"]) for row in rows] == [
        ("trained", "4"), ("stopped", "2"), ("stopped", "1"), ("stopped", "1"),
    ]  # fmt: skip
    winner = metrics(tmp_path / "a", rows[0]["key"])
    assert len(winner["test_accuracies"]) == 2
    mean = sum(winner["validation_accuracies"]) / 2
    assert winner["validation_accuracy"] == pytest.approx(mean, abs=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_fine_tuning_from_a_finalist(tmp_path: Path) -> None:
    first = train(
        tmp_path / "a", f'architecture="{CELLS["nasbench201"]}"', *TINY, *data(tmp_path), *FAST
    )
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "a" / "finalists" / table(tmp_path / "a")[0]["key"]
    (tmp_path / "other").mkdir()
    second = train(
        tmp_path / "b", f"weights={folder}", *data(tmp_path / "other", classes=2),
        "recipe=finetune", "recipe.epochs=1", "recipe.min_steps=0", "recipe.freeze=2", "device=cpu",
    )  # fmt: skip
    assert second.returncode == 0, second.stderr
    assert "new weights for head.4.weight, head.4.bias" in second.stdout
    before, after = (
        load_file(path / "weights.safetensors")
        for path in (folder, tmp_path / "b" / "finalists" / folder.name)
    )
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith("stem"))
    assert after["head.4.weight"].shape[0] == 2


@pytest.mark.slow
def test_torchrun_trains_with_two_processes(tmp_path: Path) -> None:
    arguments = (
        f'architecture="{CELLS["nasbench201"]}"', *TINY, *data(tmp_path), *FAST,
    )  # fmt: skip
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "nas_search.train"),
            # As the clock may do it: a directory of its own for each process.
            *(f"hydra.run.dir={tmp_path}/${{oc.env:RANK}}", *arguments),
        ],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 3/3") == 1  # one process speaks
    (row,) = table(tmp_path / "0")
    assert row["status"] == "trained"
    assert not (tmp_path / "1" / "finalists").exists()
    # The accuracy that both measured together is that of the network in the folder.
    data_set = stripes_data(tmp_path)
    network = nas_search.load(tmp_path / "0" / "finalists" / row["key"] / "genotype.json").build()
    network.load_state_dict(
        load_file(tmp_path / "0" / "finalists" / row["key"] / "weights.safetensors")
    )
    images = data_set.test.images(range(len(data_set.test)))
    with torch.no_grad():
        right = network.eval()(images).argmax(1) == data_set.test.labels
    assert float(row["test_accuracy"]) == pytest.approx(100 * float(right.float().mean()), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to train: run=outputs/... (a search), architecture=... or weights=FOLDER"),
        (("architecture=DARTS_V2",), "choose the images to train on"),
        (("dataset=digits",), "say what to train"),
        (("dataset=digits", "architecture=nonsense"), "no search space reads it"),
        (("dataset=digits", "architecture=7"), "add benchmark=NAME"),
        (("run=nowhere",), "is not the directory of a search"),
        (("weights=nowhere", "dataset=digits"), "nowhere"),
        (("dataset=digits", "architecture=DARTS_V2", "recipe.epochs=0"), "recipe.epochs=0"),
        (("dataset=digits", "architecture=DARTS_V2", "recipe=nothing"), "possible: darts, fast"),
        (
            ("dataset=digits", "architecture=[DARTS_V2,PC_DARTS]", "recipe.validation=0"),
            "leaves no images to rank",
        ),
        (("dataset=digits", "architecture=[DARTS_V2,darts_v2]"), "given twice"),
        (("dataset=digits", "architecture=DARTS_V2", "recipe.network={width:3}"), "no such size"),
        (("dataset=digits", "architecture=DARTS_V2", "recipe=darts"), "auxiliary head"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "hydra.run.dir=a", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        train_command.main()
    signal.signal(signal.SIGTERM, handler)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not (tmp_path / "a").exists()
