"""The command with algorithm=guided: what a run leaves behind, and that nothing disturbs it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import nas_search.__main__ as command
from nas_search.commands.finalists import ranked_by
from nas_search.commands.learning import read_learning
from nas_search.commands.search_values import Learning
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.runs import Run, open_run
from nas_search.runs.store import Store
from nas_search.spaces import SPACES
from tests.commands.test_search_schema import compose

TINY = (
    *("search_space=nasbench201", "search_space.cells=1", "search_space.channels=4"),
    *("dataset.size=8", "proxy=params", "algorithm=guided", "algorithm.prior=none"),
    *("algorithm.population=6", "algorithm.tournament=2", "algorithm.scored=4"),
    *("algorithm.trained=3", "algorithm.recipe.epochs=1", "algorithm.recipe.min_steps=0"),
    *("algorithm.batch=3", "budget.trainings=8", "budget.minutes=null"),
)
Row = dict[str, str]


def run(folder: Path, *values: str) -> str:
    """Call the command, which must succeed, and return what it prints."""
    arguments = [*TINY, "executor=inline", f"hydra.run.dir={folder}", *values]
    handler, told = signal.getsignal(signal.SIGTERM), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told):
        patch.setattr(sys, "argv", ["nas_search", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
    signal.signal(signal.SIGTERM, handler)
    assert not ended.value.code, told.getvalue()
    return told.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of all eight trainings; ``printed`` holds what it printed."""
    folder = tmp_path_factory.mktemp("guided") / "whole"
    (folder.parent / "printed").write_text(run(folder))
    return folder


def rows(file: Path) -> list[Row]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def history(folder: Path) -> list[tuple[str, ...]]:
    told = ("status", "params", "trained_accuracy", "genotype", "reason")
    return [tuple(row[name] for name in told) for row in rows(folder / "history.csv")]


def test_a_run_trains_and_its_files_agree(whole: Path) -> None:
    out = (whole.parent / "printed").read_text()
    board, evaluations = rows(whole / "leaderboard.csv"), rows(whole / "history.csv")
    summary = json.loads((whole / "summary.json").read_text())
    best = json.loads((whole / "best.json").read_text())

    trained = {row["genotype"]: row for row in evaluations if row["trained_accuracy"]}
    assert len(trained) == 8 and summary["trainings"] == {"trained": 8}
    assert all(5 < float(row["trained_accuracy"]) <= 100 for row in trained.values())
    scored = [row for row in evaluations if not row["trained_accuracy"]]
    assert len(scored) == 6 + 3 * 4 == summary["candidates"]["ok"]
    assert len(board) == len(scored)
    for row in board:
        assert evaluations[int(row["number"]) - 1]["genotype"] == row["genotype"]
        told = trained.get(row["genotype"], {}).get("trained_accuracy", "")
        assert row["trained_accuracy"] == told
        assert float(row["uncertainty"]) >= 0
    predicted = [float(row["predicted"]) for row in board]
    assert predicted == sorted(predicted, reverse=True)
    assert best["genotype"] == board[0]["genotype"]
    assert best["trained_accuracy"] == (float(board[0]["trained_accuracy"] or 0) or None)
    assert "all 8 trainings of the budget are made" in out
    assert "number 1 " in out and "trained" in out

    ranked = leaders_of(open_run(whole))  # what python -m nas_search.train run=... trains first
    assert [e.genotype for _, e in ranked] == [row["genotype"] for row in board]
    assert not list(whole.glob("trainings/*/checkpoint.pt"))  # what trainings leave is a log
    assert len(list(whole.glob("trainings/*/log.csv"))) == 8


def leaders_of(run: Run) -> list[tuple[int, Evaluation]]:
    """Return what finalists of a run are chosen from, best first."""
    space = SPACES.get(run.config["search_space"]["name"]).space()
    return ranked_by(run.evaluations, run.objectives, "fitness", space, run.config["ranking"])[0]


@pytest.mark.parametrize(
    "stopped",
    [pytest.param(9, marks=pytest.mark.slow), 11, pytest.param(17, marks=pytest.mark.slow)],
)  # before, within and after the first batch
def test_a_run_stopped_anywhere_continues_to_the_same_history(
    whole: Path, tmp_path: Path, stopped: int
) -> None:
    with Store(tmp_path / "run.sqlite") as store:
        for evaluation in open_run(whole).evaluations[:stopped]:
            store.append(evaluation, 1.0)
    run(tmp_path)
    assert history(tmp_path) == history(whole)


@pytest.mark.slow
def test_a_larger_budget_continues_a_smaller_one(whole: Path, tmp_path: Path) -> None:
    run(tmp_path, "budget.trainings=4")
    assert history(tmp_path) == history(whole)[: 6 + 4 + 3 + 4 + 1]
    run(tmp_path)
    assert history(tmp_path) == history(whole)


@pytest.mark.slow
def test_a_budget_in_epochs_is_a_budget_in_whole_trainings(whole: Path, tmp_path: Path) -> None:
    out = run(tmp_path, "algorithm.recipe.epochs=1", "budget.epochs=4", "budget.trainings=null")
    assert "4 trainings are made, all that budget.epochs=4 pays for" in out
    assert history(tmp_path) == history(whole)[: 6 + 4 + 3 + 4 + 1]
    assert json.loads((tmp_path / "summary.json").read_text())["trainings"] == {"trained": 4}
    out = run(tmp_path, "budget.epochs=100")  # continues; the eight trainings end it
    assert "all 8 trainings of the budget are made" in out
    assert history(tmp_path) == history(whole)


@pytest.mark.slow
def test_the_number_of_workers_does_not_matter(whole: Path, tmp_path: Path) -> None:
    run(tmp_path, "executor=processes", "executor.workers=2")
    assert history(tmp_path) == history(whole)


def test_experience_of_an_earlier_run_is_learned_from(whole: Path, tmp_path: Path) -> None:
    run(tmp_path, f"algorithm.experience=[{whole}]", "budget.trainings=4")
    told, first = (json.loads((one / "summary.json").read_text()) for one in (tmp_path, whole))
    assert len(told["learning"]["experience"]) == 1
    assert told["protocol"] == first["protocol"]  # so they are ranked together
    assert history(tmp_path)[:6] == history(whole)[:6]  # the same random population
    assert history(tmp_path) != history(whole)[: len(history(tmp_path))]
    for values, message in (
        ([f"algorithm.experience=[{tmp_path / 'no'}]"], "no is not the directory of a search"),
        ([f"algorithm.experience=[{whole}]", "proxy=flops"], "is a run by proxy=params"),
        ([f"algorithm.experience=[{whole}]", "search_space=darts"], "nasbench201, not of darts"),
    ):
        with pytest.raises(InputError, match=message):
            compose("search_space=nasbench201", "algorithm=guided", "proxy=params", *values)


def test_with_a_table_accuracies_are_looked_up(tmp_path: Path) -> None:
    space = compose("search_space=nasbench201").space
    cells = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    lines = ["architecture,accuracy"]
    for first in cells:
        for second in cells:
            for third in cells:
                cell = f"|{first}~0|+|{second}~0|{third}~1|+|{second}~0|{first}~1|{third}~2|"
                lines.append(f'"{cell}",{90 + len(cell) / 100}')
                space.parse(cell)
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    path = f"benchmark.path={tmp_path / 'table.csv'}"
    with pytest.raises(InputError, match="budget.epochs=9: with a table nothing is trained"):
        compose(
            "algorithm=guided", "budget.epochs=9", "search_space=nasbench201", "benchmark=csv", path
        )
    run(tmp_path / "run", "benchmark=csv", path, "budget.trainings=20")
    opened = open_run(tmp_path / "run")
    assert not (tmp_path / "run" / "trainings").exists()
    table = dict(line.rsplit(",", 1) for line in lines[1:])
    looked_up = [e for e in opened.evaluations if "trained_accuracy" in e.scores]
    missing = [e for e in opened.evaluations if "has no accuracy of it" in e.reason]
    assert len(looked_up) + len(missing) == 20
    for evaluation in looked_up:
        text = f'"{evaluation.genotype}"'
        if text in table:
            assert evaluation.scores["trained_accuracy"] == float(table[text])
    leaders = {e.key for _, e in leaders_of(opened)}
    assert leaders.isdisjoint(e.key for e in missing)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget={trainings:null,minutes:null}"], "say how many with budget.trainings=N"),
        (["budget.trainings=0"], "budget.trainings=0 must be 1 or more"),
        (["budget.epochs=0"], "budget.epochs=0 must be 1 or more"),
        (["algorithm=random", "budget.epochs=9"], "algorithm=random makes none: choose algorithm="),
        (["budget.evaluations=120"], "budget.evaluations=120 ends before the first training"),
        (["algorithm.trained=0"], "algorithm.trained=0 must be 1 or more"),
        (["algorithm.prior=nowhere.prior"], "there is no prior .*nowhere.prior"),
        (["algorithm.recipe.epochs=0"], "algorithm.recipe.epochs=0 must be 1 or more"),
        (["+algorithm.recipe.epoch=3"], "unknown key 'algorithm.recipe.epoch'"),
        (["algorithm.recipe.validation=0"], "algorithm.recipe.validation=0 leaves no images"),
        (["recipe@algorithm.recipe=darts", "search_space=nasbench201"], "nasbench201 has no such"),
        (["algorithm=random", "budget={evaluations:null,minutes:null}"], "the budget is endless"),
    ],
)
def test_a_mistake_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        compose("algorithm=guided", *overrides)
    assert "\n" not in str(caught.value)


def test_epochs_are_those_that_few_images_are_trained_for() -> None:
    config = compose("algorithm=guided", "algorithm.recipe.min_steps=600", "budget.epochs=39")
    assert config.learning is not None and config.learning.recipe is not None
    assert config.learning.recipe.epochs == 2
    data = config.dataset.load(config.dataset_options)
    remark = config.learning.remark(data)
    assert (
        ": 40 epochs in batches of 16 " in remark and "not algorithm.recipe.epochs=2 in" in remark
    )
    assert "fewer than algorithm.recipe.min_steps=600 (algorithm.recipe.min_steps=0 " in remark
    plain = compose("algorithm=guided", "algorithm.recipe.min_steps=0").learning
    assert plain is not None and plain.remark(data) == ""
    with pytest.raises(InputError, match=r"pays for no training: one takes 40 epochs.*min_steps"):
        config.learning.budget(config.budget, data)
    enough = dataclasses.replace(config.budget, epochs=80)
    assert config.learning.budget(enough, data).trainings == 2


def test_a_space_without_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose()
    monkeypatch.setattr(type(config.space), "cells", ())
    with pytest.raises(InputError, match="search_space=darts has no features") as caught:
        read_learning(Learning(), config.space, config.proxy, None)
    assert "\n" not in str(caught.value)


def test_an_oracle_needs_no_trainings(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text('architecture,accuracy\n"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",1\n')
    with pytest.raises(InputError, match="proxy=oracle tells accuracies before"):
        compose(
            "search_space=nasbench201",
            "algorithm=guided",
            "proxy=oracle",
            "benchmark=csv",
            f"benchmark.path={table}",
        )


def test_any_recipe_can_be_the_short_schedule() -> None:
    config = compose("algorithm=guided", "recipe@algorithm.recipe=nasbench201_12")
    assert config.learning is not None and config.learning.recipe is not None
    assert (config.learning.recipe.name, config.learning.recipe.epochs) == ("nasbench201_12", 12)
    short = compose("algorithm=guided", "budget=quick")
    assert short.learning is not None and short.learning.recipe is not None
    assert short.learning.recipe.name == "short"
    assert re.fullmatch(r"fast|short", short.recipe.name if short.recipe else "")
    assert short.budget.trainings is not None
