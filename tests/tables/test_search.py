"""Search against a table: the optimum of the oracle, true accuracies and regrets."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import hydra
import matplotlib.image
import pytest
from rich.console import Console

from nas_search.commands.command import CONF
from nas_search.commands.run_search import run_search
from nas_search.commands.search_schema import read_config
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.search import SearchOutcome
from nas_search.tables import truth
from tests.tables.made import SPACE, cells, nasbench201, read, write_csv

COLUMNS = ("v11_c10valid_val_200", "c10_test_200", "c100_test_200")
QUICK = (
    "search_space=nasbench201",
    "benchmark=nasbench201",
    "benchmark.test=[c10_test_200,c100_test_200]",
    "dataset.size=8",
    "executor=inline",
    "device=cpu",
)


def search(
    directory: Path, table: Path, *overrides: str, base: Sequence[str] = QUICK
) -> SearchOutcome:
    directory.mkdir(exist_ok=True)
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose("config", [*base, f"benchmark.path={table}", *overrides])
    return run_search(read_config(config), directory, Console(file=(directory / "out").open("a")))


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def whole_space(path: Path) -> Path:
    """Write a table of all cells in which 3x3 convolutions are best."""
    worth = {"none": 0, "skip_connect": 2, "avg_pool_3x3": 1, "nor_conv_1x1": 3, "nor_conv_3x3": 5}
    found = {SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")}
    while True:  # every cell is reached from one by changing operations
        more = {other for cell in found for other in SPACE.neighbors(cell)} - found
        if not more:
            break
        found |= more
    header = ["arch_str", *COLUMNS]
    lines = []
    for cell in sorted(found, key=str):
        value = 60 + sum(worth[operation] for operation in cell.operations)
        lines.append([str(cell), value, value + 2, value - 30])
    return write_csv(path, header, lines)


def test_oracle_finds_the_best_cell_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object, **__: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr(type(SPACE), "build", build)
    table = whole_space(tmp_path / "table.csv")
    evolution = ("algorithm.population=20", "algorithm.tournament=5", "budget.evaluations=300")
    outcome = search(tmp_path / "run", table, "proxy=oracle", *evolution)
    assert max(e.scores["oracle"] for e in outcome.evaluations) == 90
    assert outcome.seconds < 20
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["best_score"] == 90
    assert summary["benchmark"] == {
        COLUMNS[0]: {"accuracy": 90, "best": 90, "regret": 0},
        COLUMNS[1]: {"accuracy": 92, "best": 92, "regret": 0},
        COLUMNS[2]: {"accuracy": 60, "best": 60, "regret": 0},
    }
    assert summary["oracle"]["validation"] == COLUMNS[0]
    by_chance = search(tmp_path / "b", table, "proxy=oracle", "algorithm=random", evolution[-1])
    assert max(e.scores["oracle"] for e in by_chance.evaluations) < 90


def test_search_by_a_score_reports_true_accuracy_and_regret(tmp_path: Path) -> None:
    table = whole_space(tmp_path / "table.csv")
    small = ("search_space.cells=1", "search_space.channels=4", "proxy.batch_size=16")
    run = tmp_path / "run"
    evolution = ("algorithm.population=5", "algorithm.tournament=2", "budget.evaluations=12")
    outcome = search(run, table, *small, *evolution)
    known = read("nasbench201", path=str(table), test=list(COLUMNS[1:]))
    board = rows(run / "leaderboard.csv")
    assert len(board) == sum(e.status == "ok" for e in outcome.evaluations) > 0
    for row in board:
        for column in COLUMNS:
            assert float(row[column]) == known.accuracy(SPACE.parse(row["genotype"]), column)
    summary = json.loads((run / "summary.json").read_text())
    for column in COLUMNS:
        facts = summary["benchmark"][column]
        assert facts["accuracy"] == float(board[0][column])
        assert facts["best"] == known.best(column)
        assert facts["regret"] == facts["best"] - facts["accuracy"] >= 0
    assert "oracle" not in summary
    curve = rows(run / "accuracy.csv")
    assert curve[-1]["number"] == board[0]["number"]
    scores = [float(row["gradalign"]) for row in curve]
    assert scores == sorted(scores)
    assert matplotlib.image.imread(run / "accuracy.png").std() > 0.01
    said = (run / "out").read_text()
    assert f"{COLUMNS[1]} of number 1: {float(board[0][COLUMNS[1]]):.2f}" in said


def test_run_without_a_table_can_be_repeated_with_one(tmp_path: Path) -> None:
    table = nasbench201(tmp_path / "table.csv", 5)  # most of what is found is not in it
    small = [
        *("search_space.cells=1", "search_space.channels=4", "proxy.batch_size=16"),
        *("algorithm.population=4", "algorithm.tournament=2", "budget.evaluations=6"),
    ]
    run = tmp_path / "run"
    run.mkdir()
    base = [word for word in QUICK if "benchmark" not in word]
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose("config", [*base, *small])
    first = run_search(read_config(config), run, Console(file=(run / "out").open("w")))
    assert "benchmark" not in json.loads((run / "summary.json").read_text())
    assert not (run / "accuracy.png").exists()
    again = search(run, table, *small)
    assert again.evaluations == first.evaluations  # seconds too: nothing was scored again
    facts = json.loads((run / "summary.json").read_text())["benchmark"][COLUMNS[0]]
    assert facts == {"accuracy": None, "best": 54, "regret": None}
    assert "not in the table" in (run / "out").read_text()


def test_oracle_run_with_another_table_is_refused(tmp_path: Path) -> None:
    small = ["proxy=oracle", "budget.evaluations=8"]
    small += ["algorithm.population=4", "algorithm.tournament=2"]
    one = whole_space(tmp_path / "one.csv")
    search(tmp_path / "run", one, *small)
    two = tmp_path / "two.csv"
    two.write_text(one.read_text().replace(",90,", ",91,"))
    with pytest.raises(InputError, match="oracle: "):
        search(tmp_path / "run", two, *small)


def test_architectures_missing_in_the_table_fail_and_constraints_still_hold(
    tmp_path: Path,
) -> None:
    table = nasbench201(tmp_path / "table.csv", 2000)
    bounds = ("constraints.max_params=500000", "budget.evaluations=120")
    outcome = search(tmp_path / "run", table, "proxy=oracle", "algorithm=random", *bounds)
    statuses = {e.status: e.reason for e in outcome.evaluations}
    assert set(statuses) == {"ok", "failed"}
    assert "has no v11_c10valid_val_200 of it" in statuses["failed"]
    assert all(e.costs["params"] == e.params for e in outcome.evaluations)
    assert all(e.costs["params"] <= 500_000 for e in outcome.evaluations)


def test_best_so_far_is_by_score_and_its_accuracy_may_fall(tmp_path: Path) -> None:
    table = read("nasbench201", path=str(nasbench201(tmp_path / "t.csv", 4)), test=["c10_test_200"])
    texts = [str(cell) for cell in cells(4)]
    evaluations = [
        Evaluation(texts[3], "", "ok", {"score": 1.0}),
        Evaluation(texts[1], "", "dead"),
        Evaluation(texts[0], "", "ok", {"score": 2.0}),
        Evaluation(texts[2], "", "ok", {"score": 2.0}),
    ]
    found = truth.incumbents(table, evaluations, "score")
    assert [(number, value) for number, value, _ in found] == [(1, 1.0), (3, 2.0)]
    assert [a["c10_test_200"] for _, _, a in found] == [58, 55]
    assert truth.regrets(table, texts[0])["c10_test_200"]["regret"] == 3
