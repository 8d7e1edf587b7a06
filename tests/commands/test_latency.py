"""The group latency: what is measured when, and that a continued run sees what it saw before."""

from __future__ import annotations

import csv
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import pytest
from rich.console import Console
from torch import nn

from nas_search.commands import measured as module
from nas_search.commands.command import CONF
from nas_search.commands.finalists import ranked_by
from nas_search.commands.latency import Latency, LatencyConfig, prepare_latency, read_latency
from nas_search.commands.measured_best import TRIES
from nas_search.commands.run_search import run_search
from nas_search.commands.search_schema import read_config
from nas_search.commands.train_schema import TrainConfig
from nas_search.core.errors import InputError, RunError
from nas_search.costs import At
from nas_search.costs.measure import Device, Timing
from nas_search.runs import open_run
from nas_search.search import SearchOutcome
from nas_search.spaces import SPACES

SPACE = SPACES.get("nasbench201").space()
AT = At((3, 8, 8), 10, {"cells": 1, "channels": 4})


class Clock:
    """A device on which each parameter takes a microsecond, and which can fail."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails_after = 1 << 30

    def __call__(self, network: nn.Module, shape: Any, device: Device) -> Timing:
        if self.runs == self.fails_after:
            raise KeyboardInterrupt
        self.runs += 1
        params = sum(p.numel() for p in network.parameters())
        return Timing(1 + params / 1000, 0.02, 1, device.repeats)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module, "time_network", clock)
    yield clock


def prepared(directory: Path, **values: Any) -> Latency:
    config = LatencyConfig(**{"networks": 20, **values})
    console = Console(file=(directory / "out").open("a"), width=500)
    return prepare_latency(config, SPACE, AT, 0, directory, console)


def test_a_continued_run_measures_nothing_and_predicts_the_same(
    tmp_path: Path, clock: Clock
) -> None:
    first = prepared(tmp_path)
    assert clock.runs == 21  # the first network once more at the end
    again = prepared(tmp_path)
    assert clock.runs == 21
    assert first.facts() == again.facts() and first.model == again.model
    said = (tmp_path / "out").read_text()
    assert "20 networks take" in said and "20 of 600 runs are outliers" in said
    assert "are off by" in said and "busy" not in said


def test_what_was_measured_before_a_kill_is_not_measured_again(
    tmp_path: Path, clock: Clock
) -> None:
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    clock.fails_after = 7
    with pytest.raises(KeyboardInterrupt):
        prepared(tmp_path / "killed")
    clock.fails_after = 1 << 30
    continued = prepared(tmp_path / "killed")
    assert clock.runs == 21
    assert continued.facts() == prepared(tmp_path / "whole").facts()


def test_a_bound_outside_of_what_was_measured_is_said(tmp_path: Path, clock: Clock) -> None:
    prepared(tmp_path)
    console = Console(file=(tmp_path / "said").open("w"), width=500)
    for bounds in ({"max_latency_ms": 1.0}, {"min_latency_ms": 90.0}, {"max_latency_ms": 7.0}):
        prepare_latency(LatencyConfig(networks=20), SPACE, AT, 0, tmp_path, console, bounds)
    said = (tmp_path / "said").read_text()
    assert "measured networks meets constraints.max_latency_ms=1: " in said
    assert "measured networks meets constraints.min_latency_ms=90: " in said
    assert said.count("none of the measured networks") == 2


def test_other_settings_are_refused(tmp_path: Path, clock: Clock) -> None:
    prepared(tmp_path)
    with pytest.raises(InputError, match=r"measured with other settings .threads, networks."):
        prepared(tmp_path, threads=2, networks=30)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"networks": 9}, "latency.networks=9 must be 10 or more"),
        ({"best": -1}, "latency.best=-1 must be 0 or more"),
        ({"precision": "fp64"}, "unknown latency.precision 'fp64'"),
        ({"runs": 3}, "unknown key 'latency.runs'"),
    ],
)
def test_what_is_impossible_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_latency(values)


def searched(directory: Path, *overrides: str) -> SearchOutcome:
    directory.mkdir(exist_ok=True)
    base = ["search_space=nasbench201", "search_space.cells=1", "search_space.channels=4"]
    base += ["dataset.size=8", "executor=inline", "device=cpu", "proxy=params"]
    base += ["algorithm.population=4", "algorithm.tournament=2", "latency.networks=12"]
    with hydra.initialize_config_dir(CONF, version_base="1.3"):
        config = hydra.compose("config", [*base, *overrides])
    console = Console(file=(directory / "out").open("a"), width=500)
    return run_search(read_config(config), directory, console)


def test_a_search_stays_below_the_latency_and_continues_with_the_same_history(
    tmp_path: Path, clock: Clock
) -> None:
    bound = "constraints.max_latency_ms=7"
    part = searched(tmp_path / "run", bound, "budget.evaluations=8")
    assert clock.runs == 13 + 5  # for the predictor, and the best
    whole = searched(tmp_path / "run", bound, "budget.evaluations=16")
    other = searched(tmp_path / "other", bound, "budget.evaluations=16")
    texts = [e.genotype for e in whole.evaluations]
    assert texts == [e.genotype for e in other.evaluations]
    assert texts[:8] == [e.genotype for e in part.evaluations]
    assert all(e.costs["latency"] <= 7 for e in whole.evaluations)
    assert len(json.loads((tmp_path / "run" / "best.json").read_text())["costs"]) == 1
    assert (tmp_path / "run" / "costs.png").exists() and (tmp_path / "run/latency.png").exists()


def test_a_run_whose_measurements_are_lost_is_not_continued_with_others(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(tmp_path / "run", "constraints.costs=[latency]", "budget.evaluations=6")
    (tmp_path / "run" / "latency.json").unlink()
    slower = lambda *given: Timing(2 * clock(*given).milliseconds, 0.02, 0, 30)  # noqa: E731
    monkeypatch.setattr(module, "time_network", slower)
    with pytest.raises(InputError, match="holds another run .latency: "):
        searched(tmp_path / "run", "constraints.costs=[latency]", "budget.evaluations=6")


def test_a_table_stands_in_for_all_measuring_before_the_search(
    tmp_path: Path, clock: Clock
) -> None:
    cells = [SPACE.parse("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")]
    cells += list(SPACE.neighbors(cells[0]))
    lines = [f"{cell},{SPACE.cost(cell, (3, 8, 8), 10, **AT.macro).params}" for cell in cells]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["genotype,latency", *lines]))
    taken = f"latency.table={table}"
    with pytest.raises(InputError, match="nearest has [0-9,]+ ms"):
        searched(tmp_path / "none", taken, "constraints.max_latency_ms=9")
    assert clock.runs == 0
    kept = ("constraints.costs=[latency]", "budget.evaluations=5", "latency.best=2")
    outcome = searched(tmp_path / "kept", taken, *kept)
    assert clock.runs == 0  # nor after it: this machine need not be the table's
    assert any(e.costs["latency"] == math.inf for e in outcome.evaluations)  # not in the table


def test_what_other_bounds_rule_out_waits_for_no_measurement(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(InputError, match="constraints.max_params=1"):
        searched(tmp_path / "run", "constraints.max_latency_ms=9", "constraints.max_params=1")
    assert clock.runs == 0


class Slower(Clock):
    """The same, but of what is measured after the search a share is slower than predicted."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def __call__(self, network: nn.Module, shape: Any, device: Device) -> Timing:
        timing = super().__call__(network, shape, device)
        some = zlib.crc32(str(network).encode()) % 100 < 100 * self.share  # always the same
        slow = some and self.runs > 13
        return replace(timing, milliseconds=timing.milliseconds * (3 if slow else 1))


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_search.commands.search_report._write_pictures", lambda *_: None)


BOUND = ("constraints.max_latency_ms=7", "budget.evaluations=20", "latency.best=3")


def measured_rows(directory: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((directory / "latency_best.csv").open()))


def test_what_is_measured_above_the_bound_is_dropped_for_the_next_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    monkeypatch.setattr(module, "time_network", Slower(0.5))
    outcome = searched(tmp_path / "run", *BOUND)
    measured = measured_rows(tmp_path / "run")
    slow = [row for row in measured if row["fits"] == "no"]
    assert slow and all(float(row["measured_ms"]) > 7 >= float(row["predicted_ms"]) for row in slow)
    assert [row["rank"] for row in measured if row["fits"] == "yes"] == ["1", "2", "3"]
    # The best three by score of those that are not dropped, and nothing else was measured.
    left = {e.genotype: e.scores["params"] for e in outcome.evaluations if e.status == "ok"}
    for row in slow:
        del left[row["genotype"]]
    best = sorted(left, key=lambda text: -left[text])[:3]
    assert [left[row["genotype"]] for row in measured[:3]] == [left[text] for text in best]
    found = json.loads((tmp_path / "run" / "best.json").read_text())
    assert found["measured_latency_ms"] <= 7 and found["costs"]["latency"] <= 7
    board = list(csv.DictReader((tmp_path / "run" / "leaderboard.csv").open()))
    assert len(board) == len(left) and board[0]["measured_latency_ms"]
    assert not set(left) - {row["genotype"] for row in board}
    history = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    reasons = {row["genotype"]: row["reason"] for row in history if row["status"] == "rejected"}
    assert all("constraints.max_latency_ms=7" in reasons[row["genotype"]] for row in slow)
    said = (tmp_path / "run" / "out").read_text()
    assert said.count("dropped, as measured: no. ") == 1
    run = open_run(tmp_path / "run")
    assert sum(e.status == "rejected" for e in run.eligible) == len(slow)
    ranked, _ = ranked_by(run.eligible, run.objectives, "fitness", SPACE)  # as a training does
    assert [e.genotype for _, e in ranked] == [row["genotype"] for row in board]
    assert [e.status for e in run.evaluations] == [e.status for e in outcome.evaluations]


def test_finalists_keep_to_the_bound_and_a_kill_changes_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    trained: list[list[str]] = []

    def train(config: TrainConfig, *_: Any) -> None:
        trained.append([one.architecture.genotype for one in config.candidates])

    monkeypatch.setattr("nas_search.commands.search_finalists.run_training", train)
    wanted = (*BOUND, "finalists.k=2", "recipe=fast")
    clock = Slower(0.5)
    monkeypatch.setattr(module, "time_network", clock)
    searched(tmp_path / "whole", *wanted)
    rows = measured_rows(tmp_path / "whole")
    assert len(trained[0]) == 2
    fits = {row["genotype"] for row in rows if row["fits"] == "yes"}
    assert set(trained[0]) <= fits
    for after in (14, clock.runs - 1):
        killed = Slower(0.5)
        killed.fails_after = after
        monkeypatch.setattr(module, "time_network", killed)
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / str(after), *wanted)
        again = Slower(0.5)
        again.runs = 13  # as after the search
        monkeypatch.setattr(module, "time_network", again)
        searched(tmp_path / str(after), *wanted)
        assert trained[-1] == trained[0] and measured_rows(tmp_path / str(after)) == rows
        assert again.runs == 13 + clock.runs - after


def test_where_nothing_measured_keeps_to_the_bound_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    clock = Slower(1.0)
    monkeypatch.setattr(module, "time_network", clock)
    with pytest.raises(RunError, match="none of the best that were measured keeps to the bound"):
        searched(tmp_path / "run", *BOUND, "finalists.k=1")
    assert clock.runs == 13 + 3 * TRIES + 1 * TRIES  # and no endless search
    said = (tmp_path / "run" / "out").read_text()
    assert "only 0 of the 12 that were measured keep to the bound" in said
