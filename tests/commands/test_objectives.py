"""Several objectives: what can be asked for, what a run leaves, what continues, what is trained."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import hydra
import matplotlib.image
import numpy as np
import pytest

from nas_search.commands.command import CONF
from nas_search.commands.objectives import default_proxy
from nas_search.commands.search_schema import SearchConfig, read_config
from nas_search.commands.train_schema import read_train_config
from nas_search.core.errors import InputError
from nas_search.core.objectives import Objective
from nas_search.runs import open_run
from nas_search.search.fronts import along, front_numbers, losses
from tests.commands.test_search import Ended, call, rows, start, wait_for  # noqa: F401
from tests.tables.made import nasbench201

Call = Callable[..., Ended]
SMALL = (
    "search_space=nasbench201",
    "search_space.cells=1",
    "search_space.channels=4",
    "proxy.batch_size=10",
    "dataset.size=8",
    "budget.evaluations=20",
    "executor=inline",
)
FRONT = (*SMALL, "algorithm=nsga2", "algorithm.population=8")


def read(*overrides: str) -> SearchConfig:
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        return read_config(hydra.compose("config", overrides=list(overrides)))


@pytest.mark.parametrize(
    "form", ["[gradalign,macs]", "[macs,gradalign]", "[max:gradalign,min:macs]"]
)
def test_a_score_is_maximized_and_a_cost_minimized(form: str) -> None:
    config = read("algorithm=nsga2", f"objectives={form}")
    assert set(config.objectives) == {Objective("gradalign"), Objective("macs", minimize=True)}
    assert (config.proxy.name, config.several) == ("gradalign", True)
    assert config.constraints.also == ("macs",)  # which evaluations keep, at the deployed size
    assert read().objectives == (Objective("gradalign"),)


def test_the_objectives_name_the_scores_and_the_group_how_they_are_measured() -> None:
    config = read("algorithm=nsga2", "objectives=[naswot,zen,params]", "proxy.batch_size=24")
    assert config.proxy.scores == ("naswot", "zen")
    assert {n for one in config.proxy.measured() for n in one.scores} == {"naswot", "zen"}
    assert all(one.settings.batch_size == 24 for one in config.proxy.measured())
    assert set(config.proxy.facts()["scores"]) == {"zen"}
    chosen = read("algorithm=nsga2", "proxy=zen", "objectives=[naswot,zen]")
    assert chosen.proxy.scores == ("zen", "naswot")
    assert default_proxy() == read().proxy.name


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("algorithm=nsga2",), "algorithm=nsga2 trades .* name two or more"),
        (("algorithm=nsga2", "objectives=[gradalign]"), "is one: choose it by proxy=gradalign"),
        (("objectives=[naswot]",), "is one: choose it by proxy=naswot"),
        (("objectives=[min:params]",), "is one: choose it by proxy=NAME"),
        (("objectives=[gradalign,macs]",), "has one objective, .* choose algorithm=nsga2"),
        (("algorithm=local_search", "objectives=[gradalign,macs]"), "has one objective"),
        (
            ("algorithm=nsga2", "objectives=[gradalign,mac]"),
            "unknown .* .did you mean 'macs'",
        ),
        (("algorithm=nsga2", "objectives=[gradalign,less:macs]"), "unknown objective 'less:macs'"),
        (("algorithm=nsga2", "objectives=[gradalign,gradalign]"), "names one twice"),
        (("algorithm=nsga2", "objectives=[macs,max:macs,zen]"), "names one twice"),
        (("algorithm=nsga2", "objectives=[params,flash]"), "are all costs"),
        (("algorithm=nsga2", "objectives=[gradalign,flops]"), "write min:flops .or macs"),
        (("algorithm=nsga2", "objectives=[gradalign,depth]"), "write min:depth or max:depth"),
        (("algorithm=nsga2", "objectives=[az_nas,macs]"), "ranks candidates against each other"),
        (("algorithm=nsga2", "objectives=[oracle,macs]"), "looks accuracies up in a table"),
        (("algorithm=nsga2", "objectives=[oracle,zen]"), "no score can stand beside it"),
        (("algorithm=nsga2", "proxy=zen", "objectives=[naswot,macs]"), "proxy=zen is not among"),
        (
            ("algorithm=nsga2", "objectives=[zen,naswot,synflow,snip,grasp,params,macs]"),
            "are 7: algorithm=nsga2 takes 6",
        ),
    ],
)
def test_impossible_objectives_are_named(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(*overrides)
    assert "\n" not in str(caught.value)


def test_the_files_of_a_front_agree_with_each_other(call: Call, tmp_path: Path) -> None:  # noqa: F811
    ended = call("hydra.run.dir=run", "objectives=[gradalign,macs]", "top=4", base=FRONT)
    assert (ended.code, ended.err) == (0, "")
    run = tmp_path / "run"
    board, history = rows(run / "leaderboard.csv"), rows(run / "history.csv")
    summary = json.loads((run / "summary.json").read_text())
    objectives = open_run(run).objectives
    assert objectives == (Objective("gradalign"), Objective("macs", minimize=True))
    points = losses(objectives, [(float(r["gradalign"]), float(r["cost_macs"])) for r in board])
    assert [int(row["front"]) for row in board] == front_numbers(points).tolist()
    assert [int(row["rank"]) for row in board] == list(range(1, len(board) + 1))
    first = [row for row in board if row["front"] == "1"]
    assert along(points[: len(first)]) == list(range(len(first)))
    assert len(first) == summary["front"]["size"] > 1
    for row in board:
        source = history[int(row["number"]) - 1]
        assert all(
            row[key] == source[key] for key in ("gradalign", "cost_macs", "macs", "genotype")
        )
    grown = rows(run / "hypervolume.csv")
    assert len(grown) == len(board)
    assert float(grown[-1]["hypervolume"]) == pytest.approx(summary["front"]["hypervolume"])
    assert json.loads((run / "best.json").read_text())["genotype"] == board[0]["genotype"]
    assert matplotlib.image.imread(run / "front.png").std() > 0.01
    assert not (run / "search.png").exists()
    said = " ".join(ended.out.split())  # lines are wrapped between words
    assert "along the front: python -m nas_search.train run=run finalists.k=3" in said

    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        overrides = ["run=run", "finalists.k=2", "finalists.distance=1"]
        training = read_train_config(hydra.compose("train", overrides=overrides))
    chosen = [one.architecture.genotype for one in training.candidates]
    assert chosen == [row["genotype"] for row in board[:2]]
    other = call("hydra.run.dir=run", "objectives=[gradalign,params]", base=FRONT)
    assert other.code == 2 and "objectives: [" in other.err  # another search: it is refused


def test_a_table_gives_accuracies_as_an_objective_and_beside_the_front(
    call: Call,  # noqa: F811
    tmp_path: Path,
) -> None:
    nasbench201(tmp_path / "t.csv")
    table = ("benchmark=nasbench201", "benchmark.path=t.csv", "benchmark.test=[c10_test_200]")
    ended = call("hydra.run.dir=r", "objectives=[oracle,params]", *table, base=FRONT)
    assert ended.code in (0, 1), ended.err  # the made table has few cells
    board = rows(tmp_path / "r" / "leaderboard.csv")
    assert all(row["c10_test_200"] and float(row["oracle"]) > 0 for row in board)
    assert "benchmark" not in json.loads((tmp_path / "r" / "summary.json").read_text())


def told(directory: Path) -> list[tuple[str, ...]]:
    keys = ("genotype", "status", "gradalign", "naswot", "macs")
    return [tuple(row[key] for key in keys) for row in rows(directory / "history.csv")]


SEVERAL = (*FRONT, "objectives=[gradalign,naswot,macs]", "budget.evaluations=40")


@pytest.mark.slow
def test_killed_three_times_and_continued_is_the_same_front(
    call: Call,  # noqa: F811
    tmp_path: Path,
) -> None:
    run = tmp_path / "killed"
    rng = np.random.default_rng()
    for evaluations in (1, 10, 25):
        process = start(run, *SEVERAL, base=())
        wait_for(run, evaluations, process)
        time.sleep(rng.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert call(f"hydra.run.dir={run}", base=SEVERAL).code == 0
    assert call("hydra.run.dir=a", base=SEVERAL).code == 0
    workers = ("executor=processes", "executor.workers=2")
    assert call("hydra.run.dir=b", *workers, base=SEVERAL).code == 0
    assert told(run) == told(tmp_path / "a") == told(tmp_path / "b")
    for name in ("leaderboard.csv", "hypervolume.csv"):
        assert (run / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


@pytest.mark.slow
def test_local_search_is_a_command_that_continues(call: Call, tmp_path: Path) -> None:  # noqa: F811
    climb = (*SMALL, "algorithm=local_search", "algorithm.starts=4", "budget.evaluations=40")
    assert call("hydra.run.dir=a", base=climb).code == 0
    assert call("hydra.run.dir=b", "budget.evaluations=17", base=climb).code == 0
    assert call("hydra.run.dir=b", "budget.evaluations=40", base=climb).code == 0

    def history(name: str) -> list[tuple[str, str]]:
        with (tmp_path / name / "history.csv").open(newline="") as file:
            return [(row["genotype"], row["gradalign"]) for row in csv.DictReader(file)]

    assert history("a") == history("b")
