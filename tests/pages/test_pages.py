"""Pages hold what the run holds, escape what it is named, and ask nothing of any network."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas_search.commands.pages import page_of, write_after
from nas_search.commands.screen import screen
from nas_search.core.errors import InputError
from nas_search.core.files import write_csv
from nas_search.pages import commands
from nas_search.pages.family import changes, line_of
from nas_search.pages.found import ranked_of
from nas_search.pages.page import ASSETS, PAGE, number
from nas_search.pages.run_page import run_page
from nas_search.priors import effects, shipped_prior
from nas_search.runs.run import Run, open_run
from nas_search.search.guided import TRAINED
from tests.pages.material import (
    FACTS,
    HOSTILE,
    SPACE,
    data_of,
    evaluations,
    make_ranking,
    make_run,
    make_sweep,
    make_training,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_training(make_run(tmp_path_factory.mktemp("pages") / "a <b> & 'c'"))


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return page_of(folder)


def test_every_candidate_is_in_the_table_and_every_score_in_the_chart(page: str) -> None:
    data, told = data_of(page), evaluations(60)
    grid, chart = data["grids"]["candidates"], data["charts"]["score"]
    at = grid["columns"].index
    assert [row[at("genotype")] for row in grid["rows"]] == [e.genotype for e in told]
    shown = [row[at("gradalign")] for row in grid["rows"]]
    assert [value is None for value in shown] == [e.status != "ok" for e in told]
    scored = [(n, e.scores["gradalign"]) for n, e in enumerate(told, 1) if e.status == "ok"]
    assert [row[0] for row in chart["rows"]] == [n for n, _ in scored]
    assert [row[1] for row in chart["rows"]] == pytest.approx([score for _, score in scored])
    assert [value for value in shown if value is not None] == [row[1] for row in chart["rows"]]
    best = [max(score for _, score in scored[: place + 1]) for place in range(len(scored))]
    assert [row[2] for row in chart["rows"]] == pytest.approx(best)
    last = sorted(score for _, score in scored[-10:])
    assert last[4] <= chart["rows"][-1][4] <= last[5]  # the median of the population of 10


def test_the_front_is_what_nobody_beats_for_less(page: str) -> None:
    chart = data_of(page)["charts"]["cost-params"]
    rows = chart["rows"]
    for _, cost, score, front in rows:
        beaten = any((c <= cost and s > score) or (c < cost and s >= score) for _, c, s, _ in rows)
        assert front is not beaten


def test_the_sentence_names_the_best(page: str, folder: Path) -> None:
    run = open_run(folder)
    first, best = ranked_of(run)[0]
    assert best.scores["gradalign"] == max(
        e.scores["gradalign"] for e in run.evaluations if e.scores
    )
    found = re.search(r'<p class="found">(.*?)</p>', page)
    assert found and f"candidate {first} of 54 scored" in found[1]
    assert "1e234567 is first with 84.00 % validation accuracy, 84.25 % on the test set" in found[1]
    assert "agree on 1 of 1 pair" in page


def test_failures_are_counted_by_reason(page: str) -> None:
    assert '<td class="num">6</td>' in page and "at layer 1" in page


def test_a_family_is_told_from_its_random_ancestor_on(page: str) -> None:
    steps = re.findall(r"<li><p>(Candidate .*?)</p>", page)
    assert "drawn at random" in steps[0] and "drawn at random" not in "".join(steps[1:])
    assert line_of([[], [1], [2], [1, 3]], 4) == [1, 4]
    assert line_of([[], [1], [2]], 3) == [1, 2, 3]
    assert changes([("a", "x"), ("b", "y")], [("a", "z"), ("b", "y")]) == "a: x became z"


def test_names_from_outside_are_text(page: str) -> None:
    assert HOSTILE not in page and "&lt;script&gt;" in page
    inside = re.findall(r"<script[^>]*>", page)
    assert inside == [
        '<script type="text/plain" id="data">',
        '<script type="text/plain" id="library">',
        "<script>",
    ]


def test_a_page_loads_nothing(page: str) -> None:
    addresses = re.findall(r"""(?:src|href)=["']([^"'#]+)["']""", page.split("<script", 1)[0])
    assert set(addresses) <= {"data:,", "https://echarts.apache.org"}  # a link to click
    assert "default-src &#39;none&#39;" in page
    assert len(page) < 3_000_000


def test_a_key_that_looks_like_a_number_stays_text(page: str) -> None:
    grid = data_of(page)["grids"]["trained"]
    assert [row[grid["columns"].index("key")] for row in grid["rows"]] == ["1e234567", "00ab12cd"]


def test_ten_thousand_candidates_fit_into_a_page(tmp_path: Path) -> None:
    record = {**FACTS, "dataset": {"name": "digits"}}
    page = run_page(Run(tmp_path, record, evaluations(10_000), None, []))
    assert len(page) < 3_000_000
    assert len(data_of(page)["grids"]["candidates"]["rows"]) == 10_000


def test_a_run_without_any_score_has_a_page(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 0, ended=False)
    assert "Nothing has a score yet: 0 candidates" in page_of(tmp_path / "run")


def test_the_order_is_that_of_the_leaderboard(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 30)
    told = dict(enumerate(evaluations(30), 1))
    kept = [3, 9, 1]  # the others were measured outside a bound
    rows = [[rank, n, told[n].genotype] for rank, n in enumerate(kept, 1)]
    write_csv(run / "leaderboard.csv", ["rank", "number", "genotype"], rows)
    assert [n for n, _ in ranked_of(open_run(run))] == kept
    write_csv(run / "leaderboard.csv", ["rank", "number", "genotype"], [[1, 3, "another"]])
    assert len(ranked_of(open_run(run))) == 27


def test_costs_at_other_sizes_stand_beside_those_as_scored(tmp_path: Path) -> None:
    at = {"cells": 20, "channels": 36}
    record = {**FACTS, "dataset": {"name": "digits"}}
    record["constraints"] = {"max_macs": 5e6, "costs": ["macs"], "at": at}
    told = [dataclasses.replace(e, costs={"macs": 1e6 + n}) for n, e in enumerate(evaluations(20))]
    page = run_page(Run(tmp_path, record, told, None, []))
    grid = data_of(page)["grids"]["candidates"]
    columns = [grid["columns"].index(name) for name in ("macs", "cost_macs")]
    assert [[row[column] for column in columns] for row in grid["rows"]] == [
        [e.macs, 1e6 + n] for n, e in enumerate(told)
    ]
    assert {"cost-macs", "cost-macs-as-scored"} <= data_of(page)["charts"].keys()
    assert "Costs are those of the network at cells=20, channels=36" in page
    assert "<dd>max_macs=5000000.0</dd>" in page


def test_effects_of_the_prior_are_those_of_the_winner(page: str, folder: Path) -> None:
    run, data = open_run(folder), data_of(page)
    best = ranked_of(run)[0][1].genotype
    told = effects(shipped_prior(SPACE), best)
    rows = data["grids"]["effects"]["rows"]
    assert [row[0] for row in rows] == [one.feature for one in told]
    assert [row[2] for row in rows] == pytest.approx([one.effect for one in told])
    expected = shipped_prior(SPACE).predict([e.genotype for e in run.evaluations if e.scores])[0]
    shown = [row[1] for row in data["charts"]["score-prior"]["rows"]]
    assert np.corrcoef(shown, expected)[0, 1] == pytest.approx(1)


def test_a_front_is_called_a_front(tmp_path: Path) -> None:
    record = {**FACTS, "dataset": {"name": "digits"}, "objectives": ["max:gradalign", "min:params"]}
    page = run_page(Run(tmp_path, record, evaluations(40), None, []))
    points = [(e.params or 0, e.scores["gradalign"]) for e in evaluations(40) if e.status == "ok"]
    front = sum(
        not any((c <= p and t > s) or (c < p and t >= s) for c, t in points) for p, s in points
    )
    assert f"{front} architectures stand on the front" in page


def test_a_guided_search_is_led_by_its_model(tmp_path: Path) -> None:
    told = evaluations(20)
    trained = dataclasses.replace(told[0], scores={TRAINED: 87.5})
    facts = {"accuracy": 93.5, "best": 94.37, "regret": 0.87}
    record = {**FACTS, "dataset": {"name": "digits"}, "ranking": [7, 1, 2]}
    summary = {"stop": "budget", "benchmark": {"c10": facts}}
    page = run_page(Run(tmp_path, record, [*told, trained], summary, []))
    assert "The best of the search is candidate 7 of 3" in page
    assert "c10 of number 1 is 93.50 % in the table" in page and "0.87 points" in page
    data = data_of(page)
    assert len(data["charts"]["score"]["rows"]) == 18  # trainings are no further candidates
    column = data["grids"]["candidates"]["columns"].index(TRAINED)
    assert data["grids"]["candidates"]["rows"][20][column] == 87.5


def test_a_sweep_is_shown_side_by_side(tmp_path: Path) -> None:
    data = data_of(page_of(make_sweep(tmp_path / "sweep")))
    found = data["charts"]["found-gradalign"]["rows"]
    best = [
        max(e.scores["gradalign"] for e in evaluations(30, seed) if e.scores) for seed in (0, 1)
    ]
    assert [row[1] for row in found] == pytest.approx(best)
    curve = data["charts"]["curve-gradalign"]["rows"]
    assert curve[-1][2:] == pytest.approx([sum(best) / 2, min(best), max(best), 2])
    settings = data["grids"]["settings"]
    assert settings["rows"][0][settings["columns"].index("mean")] == pytest.approx(sum(best) / 2)


def test_a_ranking_shows_taus_and_agreement(tmp_path: Path) -> None:
    page = page_of(make_ranking(tmp_path / "rank"))
    data = data_of(page)
    assert [row[:2] for row in data["charts"]["tau-test"]["rows"]] == [["good", 1.0], ["bad", -1.0]]
    assert "good ranks test of 30 architectures best" in page
    table = page[page.index("Scores against each other") :]
    assert re.findall(r">(-?1\.00)</td>", table)[:4] == ["1.00", "-1.00", "-1.00", "1.00"]
    scatter = data["charts"]["scatter-good-test"]
    assert len(scatter["rows"]) == 30
    assert scatter["rows"][0][1] == pytest.approx(scatter["rows"][0][2] + 0.5)  # mean of two seeds


def test_a_training_is_shown_with_its_curves(tmp_path: Path) -> None:
    page = page_of(make_training(tmp_path / "train"))
    curve = data_of(page)["charts"]["accuracy"]
    assert [mark["name"] for mark in curve["marks"]] == ["1e234567", "00ab12cd"]
    assert "27 of 33 in the test set" in page and HOSTILE not in page


def test_a_winner_of_series_is_used_on_series(tmp_path: Path) -> None:
    folder = make_training(make_run(tmp_path / "run"))
    (winner,) = [one for one in commands.of_run(open_run(folder)) if "trained winner" in one[0]]
    assert winner[0].endswith("on a picture:") and winner[1].endswith("model.py photo.jpg")
    network = Path(winner[1].split()[1]).parent
    network.mkdir(parents=True, exist_ok=True)
    (network / "preprocessing.json").write_text('{"series": true}')
    (winner,) = [one for one in commands.of_run(open_run(folder)) if "trained winner" in one[0]]
    assert winner[0].endswith("on a series:") and winner[1].endswith("model.py series.npy")


def test_plugins_of_a_folder_are_not_imported(tmp_path: Path) -> None:
    record = {**FACTS, "dataset": {"name": "digits"}, "search_space": {"name": "theirs"}}
    run = Run(tmp_path, {**record, "plugins": ["theirs_module"]}, evaluations(5), None, [])
    with pytest.raises(InputError, match="theirs.*--plugin theirs_module"):
        run_page(run)
    assert "theirs_module" not in sys.modules


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no search, sweep, ranking or training"):
        page_of(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        page_of(tmp_path / "none")


def test_a_page_that_fails_is_no_failure_of_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "run", 20)
    monkeypatch.setattr("nas_search.commands.pages.run_page", lambda *_: 1 / 0)
    write_after(tmp_path / "run", screen())
    assert "report.html could not be made (division by zero)" in capsys.readouterr().out
    assert not (tmp_path / "run" / PAGE).exists()


@pytest.mark.slow
def test_the_command_writes_the_page(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 20)
    command = [sys.executable, "-m", "nas_search.report"]
    done = subprocess.run([*command, "run"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "run" / PAGE)
    assert data_of((tmp_path / "run" / PAGE).read_text(encoding="utf-8"))["charts"]
    shutil.rmtree(tmp_path / "run")
    done = subprocess.run([*command, "run"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_the_library_is_the_published_file() -> None:
    import hashlib

    content = (ASSETS / "echarts.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == (ASSETS / "echarts.sha256").read_text().split()[0]
    assert (ASSETS / "echarts.LICENSE").read_text().count("Apache License")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (12345, "12,345"), (2562.8389, "2,562.8"), (0.012345, "0.01235"), ("x", "x")],
)
def test_numbers_are_short(value: object, text: str) -> None:
    assert number(value, 5 if isinstance(value, float) and value > 1 else 4) == text
