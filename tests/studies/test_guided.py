"""The comparison at equal cost: it can be repeated, and the page shows what the CSV holds."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pytest

from nas_search.priors import guide as model
from nas_search.priors.guide import PriorGuide
from nas_search.search import Budget
from nas_search.search import guided as algorithm
from nas_search.search.guided import TRAINED
from nas_search.search.standings import again_of
from nas_search.spaces import SPACES
from studies import guided
from studies.guided_places import PLACES, TASKS, TRANSNAS, Place
from studies.result_files import RESULTS, read_rows
from studies.transnas_tasks import read_tasks

PAGE = Path(__file__).parents[2] / "docs" / "guided.md"


def place(*_: object) -> Place:
    """Return a world in which 3 x 3 convolutions count, and the bound allows three of them."""
    space = SPACES.get("nasbench201").space()

    def convolutions(genotype: Hashable) -> float:
        return float(str(genotype).count("conv_3x3"))

    def worth(genotype: Hashable) -> float:
        return 80 + 3 * convolutions(genotype) + str(genotype).count("skip")

    return Place(
        space,
        "score",
        lambda genotype: float(str(genotype).count("pool")),
        worth,
        worth,
        lambda genotype: int(convolutions(genotype)),
        3,
    )


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guided, "TRAININGS", (5, 10))
    monkeypatch.setattr(
        guided, "GUIDED", {"population": 10, "tournament": 3, "scored": 10, "trained": 5}
    )
    monkeypatch.setitem(PLACES, "nasbench201", place)
    monkeypatch.setattr(guided, "shipped_names", lambda: [])


def test_a_study_continues_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    guided.measure("nasbench201", tmp_path, tmp_path, range(2), whole)
    rows = read_rows(whole)
    assert {(row["method"], row["seed"], row["trainings"]) for row in rows} == {
        (method, seed, trainings)
        for method in guided.METHODS
        if method != "guided, prior"
        for seed in "01"
        for trainings in ("5", "10")
    }
    assert {float(row["judged"]) for row in rows} <= {80.0 + n for n in range(14)}
    guided.measure("nasbench201", tmp_path, tmp_path, range(1), parts)
    searched: list[int] = []
    search = guided.search

    def counted(here: Place, method: str, seed: int, prior: None = None) -> guided.Found:
        searched.append(seed)
        return search(here, method, seed, prior)

    monkeypatch.setattr(guided, "search", counted)
    guided.measure("nasbench201", tmp_path, tmp_path, range(2), parts)
    assert set(searched) == {1}  # what is there is kept
    assert parts.read_text() == whole.read_text()


def test_methods_train_as_often_as_they_say_within_the_bound() -> None:
    here = place()
    trained: list[str] = []
    told = here.told

    def count(genotype: Hashable) -> float | None:
        trained.append(str(genotype))
        return told(genotype)

    here.told = count
    guided.search(here, "random", 0)
    assert len(trained) == 10
    assert all(text.count("conv_3x3") <= 3 for text in trained)
    history = guided.run(
        here,
        0,
        "guided",
        guided.GUIDED,
        here.scored,
        Budget(trainings=10),
        "score",
        PriorGuide(here.space, "score"),
    )
    again = again_of(history)
    assert len(again) == 10
    assert all((e.params or 0) <= 3 for e in again)
    scored = [e for e in history if e not in again and e.status != "rejected"]
    assert len(scored) == guided.scored_before(10, guided.GUIDED)


def test_fresh_seeds_are_shown_by_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(guided, "FRESH", 2)
    file = tmp_path / "guided.csv"
    guided.measure("nasbench201", tmp_path, tmp_path, range(4), file, ["random", "evolution"])
    rows = read_rows(file)
    for fresh, seeds in ((True, "23"), (False, "01")):
        random = guided.of_place(rows, "nasbench201", fresh)["random"]
        told = [
            float(row["judged"])
            for row in rows
            if row["method"] == "random" and row["trainings"] == "5" and row["seed"] in seeds
        ]
        assert random[5].tolist() == told and len(told) == 2
    tables = guided.shown(rows).split("\n\n")
    assert ["fresh seeds" in one for one in tables] == [True, False]
    legend = guided.picture(rows).legends[0]
    assert [text.get_text() for text in legend.texts] == ["random", "evolution"]


def test_tasks_are_shown_by_their_mean_where_all_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guided, "BY_TASK", (5, 10))
    rows = [
        {
            "place": TRANSNAS + task,
            "method": method,
            "seed": str(seed),
            "trainings": str(trainings),
            "judged": str(number + seed + trainings + 10 * (method == "guided")),
        }
        for number, task in enumerate(TASKS)
        for method in ("random", "evolution", "guided")
        for seed in (20, 21)
        for trainings in (5, 10)
    ]
    pooled = guided.with_mean(rows)
    assert {row["place"] for row in pooled} == {guided.MEAN}
    assert guided.with_mean(rows[1:])[0]["seed"] == "20"
    assert len(guided.with_mean(rows[1:])) == len(pooled) - 1
    whole, by_task = guided.shown(rows).split("\n\n")
    assert "| guided | 2 | 38.50 +- 0.98 | 43.50 +- 0.98 |" in whole  # 3 + 20.5 + 5 + 10
    assert by_task.splitlines()[2].startswith("| class_object | 5 | 25.50 +- 0.98 |")
    assert len(by_task.splitlines()) == 2 + 2 * len(TASKS)
    lines = guided.summary(rows).splitlines()[2:]
    assert [line.split("|")[5:7] for line in lines] == [[" +10.00 +- 0.00 "] * 2] * 2


def test_a_place_of_transnas_knows_the_table_alone(shared_data: Path) -> None:
    here = PLACES["transnas_micro, room_layout"](shared_data, None)
    texts, tasks = read_tasks(shared_data, "micro")
    best = texts[int(np.argmax(tasks["room_layout"]))]
    cell = here.space.parse(best)
    told = here.trained(cell)
    assert told.status == "ok" and here.judged(cell) == told.scores[TRAINED] > 3
    assert here.scored(cell).scores == {"params": float(here.size(cell))}
    rng = np.random.default_rng(0)
    keys = {here.space.canonical(here.space.parse(text)) for text in texts}
    for other in (here.space.sample(rng) for _ in range(20)):
        unknown = here.space.canonical(other) not in keys
        assert (here.scored(other).status == "rejected") == unknown


def test_another_weight_of_uncertainty_is_another_search_and_is_put_back() -> None:
    kappa = algorithm.KAPPA
    guided.search(place(), "guided, kappa 0", 0)
    assert kappa == algorithm.KAPPA


def test_the_page_shows_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = PAGE.read_text(encoding="utf-8")
    rows = read_rows(RESULTS / "guided.csv")
    assert rows
    begin, end = "<!-- guided: begin -->\n", "<!-- guided: end -->\n"
    shown = text.split(begin)[1].split(end)[0]
    assert shown == guided.shown(rows), "run: python -m studies.guided ... --page docs/guided.md"


def test_the_forest_alone_has_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def remember(*_: object) -> guided.Found:
        seen.append(getattr(vars(model)["fit_prior"], "keywords", {}))
        return {}

    monkeypatch.setattr(guided, "guided", remember)
    for method in ("guided", *guided.FOREST_ALONE, "guided, kappa 2"):
        guided.search(place(), method, 0)
    assert seen == [{}, {"process": False}, {"process": False}, {}]
