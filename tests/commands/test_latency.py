"""The group latency: what is measured when, and that a continued run sees what it saw before."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from rich.console import Console
from torch import nn

from nas_search.commands import measured as module
from nas_search.commands.command import CONF
from nas_search.commands.latency import (
    Latency,
    LatencyConfig,
    measure_best,
    prepare_latency,
    read_latency,
)
from nas_search.commands.run_search import run_search
from nas_search.commands.search_schema import read_config
from nas_search.core.errors import InputError
from nas_search.costs import At
from nas_search.costs.measure import Device, Timing
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


def test_the_best_are_measured_once_and_said_to_be_above_the_bound(
    tmp_path: Path, clock: Clock
) -> None:
    latency = prepared(tmp_path)
    console = Console(file=(tmp_path / "said").open("w"), width=300)
    best = ["|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"]
    for _ in range(2):
        measure_best(latency, SPACE, best, 1.5, console)
    assert clock.runs == 22
    (row,) = list(csv.DictReader((tmp_path / "latency_best.csv").open()))
    params = SPACE.cost(SPACE.parse(best[0]), (3, 8, 8), 10, **AT.macro).params
    assert float(row["measured_ms"]) == 1 + params / 1000
    assert "above constraints.max_latency_ms=1.5" in (tmp_path / "said").read_text()


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
    assert clock.runs == 2  # the best, after the search
    assert any(e.costs["latency"] == math.inf for e in outcome.evaluations)  # not in the table


def test_what_other_bounds_rule_out_waits_for_no_measurement(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(InputError, match="constraints.max_params=1"):
        searched(tmp_path / "run", "constraints.max_latency_ms=9", "constraints.max_params=1")
    assert clock.runs == 0
