"""A search by what trained networks have taught, alone and beside ``gradalign``."""

from __future__ import annotations

import csv
import json
import signal
import sys
from pathlib import Path

import pytest

import nas_search.__main__ as command
from nas_search.priors import combined, shipped_prior
from nas_search.runs import open_run
from nas_search.spaces import SPACES

TINY = (
    *("search_space=darts", "search_space.cells=3", "search_space.channels=4", "dataset.size=8"),
    *("proxy.batch_size=10", "algorithm.population=6", "algorithm.tournament=3"),
    *("constraints.max_params=20000", "budget.evaluations=12", "executor=inline"),
)


def search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["nas_search", *TINY, *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    signal.signal(signal.SIGTERM, handler)
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.slow
def test_a_search_by_score_and_prior_keeps_them_apart_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("proxy=gradalign_prior", "hydra.run.dir=run")
    assert search(monkeypatch, capsys, *arguments, "budget.evaluations=8") == (0, "")
    first = open_run("run").evaluations
    assert search(monkeypatch, capsys, *arguments) == (0, "")
    run = open_run("run")
    assert run.evaluations[: len(first)] == first
    assert run.score == "gradalign_prior"
    space = SPACES.get("darts").space()
    prior = shipped_prior(space)
    scored = [one for one in run.evaluations if one.status == "ok"]
    assert len(scored) >= 10
    predicted, _ = prior.predict([one.genotype for one in scored])
    expected = combined(prior, predicted, "gradalign", [one.scores["gradalign"] for one in scored])
    assert [one.scores["prior"] for one in scored] == predicted.tolist()
    assert [one.scores["gradalign_prior"] for one in scored] == pytest.approx(expected.tolist())
    assert all((one.params or 0) <= 20000 for one in scored)
    with (tmp_path / "run" / "history.csv").open(newline="") as file:
        assert next(csv.reader(file))[2:5] == ["gradalign_prior", "gradalign", "prior"]
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    assert best["scores"]["gradalign_prior"] == max(one.scores["gradalign_prior"] for one in scored)


@pytest.mark.slow
def test_evolution_by_the_prior_alone_climbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("proxy=prior", "hydra.run.dir=run", "budget.evaluations=150")
    assert search(monkeypatch, capsys, *arguments) == (0, "")
    values = [one.scores["prior"] for one in open_run("run").evaluations if one.status == "ok"]
    assert sum(values[-30:]) / 30 > sum(values[:6]) / 6 + 0.5
    # Another prior is another run.
    prior = shipped_prior(SPACES.get("darts").space())
    prior.described({}, {}).save("other.prior")
    code, said = search(monkeypatch, capsys, *arguments, "proxy.path=other.prior")
    assert code == 2 and "run holds another run (prior: " in said


def test_a_prior_of_another_space_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped_prior(SPACES.get("nasbench201").space()).save("my.prior")
    code, said = search(monkeypatch, capsys, "proxy=prior", "proxy.path=my.prior")
    assert code == 2 and said.count("\n") == 1
    assert "my.prior is a prior of search_space=nasbench201, not of search_space=darts" in said
    assert not (tmp_path / "outputs").exists()
