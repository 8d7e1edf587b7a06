"""The ranking study: selection of architectures, rows, failures and seeds."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.ranking import correlation
from nas_search.ranking.aggregates import log_rank_sum
from nas_search.ranking.equal_size import equal_size_pairs
from nas_search.ranking.noise_ceiling import Noise
from nas_search.ranking.ranking import (
    FULL,
    MEAN,
    NO_DEAD,
    Column,
    Group,
    columns,
    has_dead_branch,
    ranking_rows,
    select_rows,
)
from nas_search.report.equal_size import Panel, Share, equal_size_figure
from nas_search.report.ranking import (
    heatmap_figure,
    ranking_notes,
    ranking_tables,
    scatter_figure,
)
from nas_search.spaces import SPACES
from tests.tables.made import SPACE, nasbench201, read

NAN = math.nan


def evaluation(score: float | None, params: int, seconds: float = 1.0) -> Evaluation:
    size = {"params": float(params)}
    if score is None:
        return Evaluation("", "", "dead", size, params, 10 * params, seconds, "score: dead")
    scores = {"score": score, **size}
    return Evaluation("", "", "ok", scores, params, 10 * params, seconds)


SEEDS = {
    0: [evaluation(s, p) for s, p in ((1.0, 5), (2.0, 6), (None, 7), (None, 8))],
    7: [evaluation(s, p, 3.0) for s, p in ((3.0, 5), (6.0, 6), (9.0, 7), (None, 8))],
}


def named(found: list[Column]) -> dict[tuple[str, str], Column]:
    return {(column.name, column.seed): column for column in found}


def test_every_seed_and_the_mean_is_a_column() -> None:
    found = named(columns(SEEDS, {"score": "single"}, {}))
    assert set(found) == {("score", "0"), ("score", "7"), ("score", MEAN)}
    np.testing.assert_array_equal(found["score", "0"].values, [1, 2, NAN, NAN])
    np.testing.assert_array_equal(found["score", MEAN].values, [2, 4, 9, NAN])
    assert found["score", "7"].seconds == 3
    assert found["score", MEAN].seconds == 4


GROUPS: dict[str, Group] = {"score": "single", "params": "single"}
BOTH = {"both": (log_rank_sum, ["score", "params"])}


def test_one_seed_has_no_mean() -> None:
    found = named(columns({3: SEEDS[0]}, GROUPS, BOTH))
    assert set(found) == {("score", "3"), ("params", "3"), ("both", "3")}


def test_aggregates_are_computed_per_seed_and_of_the_means() -> None:
    found = named(columns(SEEDS, GROUPS, BOTH))
    assert {seed for name, seed in found if name == "both"} == {"0", "7", MEAN}
    both = found["both", "7"]
    assert both.group == "aggregate"
    assert both.seconds == 3
    ranks = np.array([[1, 2, 3], [1, 2, 3]])
    assert both.values[:3] == pytest.approx(np.log(ranks / 3).sum(0))
    # The dead one has a parameter count, but no aggregate: it is last, as in every other score.
    assert math.isnan(both.values[3])
    np.testing.assert_array_equal(np.isnan(found["both", MEAN].values), [0, 0, 0, 1])
    np.testing.assert_array_equal(np.isnan(found["both", "0"].values), [0, 0, 1, 1])


def test_row_of_the_mean_has_the_agreement_of_the_seeds() -> None:
    accuracy = np.array([90.0, 91.0, 92.0, NAN])
    every = np.ones(4, dtype=bool)
    found = columns(SEEDS, GROUPS, BOTH)
    size = np.arange(4.0)
    rows = {
        (r.proxy, r.seed): r.seed_tau
        for r in ranking_rows(found, {"test": accuracy}, size, size, every, 0)
    }
    # 1, 2, dead against 3, 6, 9 over the three whose accuracy is known.
    assert rows["score", MEAN] == pytest.approx(-1 / 3)
    assert rows["params", MEAN] == pytest.approx(1)
    assert math.isnan(rows["score", "0"])


def test_rows_hold_the_statistics_and_count_the_dead() -> None:
    rng = np.random.default_rng(0)
    accuracy = rng.uniform(60, 95, size=50)
    scores = accuracy + rng.normal(0, 8, size=50)
    scores[:4] = NAN
    params = rng.integers(1, 99, size=50).astype(float)
    macs = params + rng.integers(1, 50, size=50).astype(float)
    accuracies = {"test": accuracy.copy(), "other": accuracy.copy()}
    accuracies["other"][[0, 10]] = NAN
    connected = np.arange(50) % 3 > 0
    columns_ = [Column("score", "single", MEAN, scores, 2.5)]
    rows = ranking_rows(columns_, accuracies, params, macs, connected, 50)
    places = [(row.column, row.subset, row.n, row.dead) for row in rows]
    assert places == [
        ("test", FULL, 50, 4),
        ("test", NO_DEAD, 33, 2),
        ("other", FULL, 48, 3),
        ("other", NO_DEAD, 32, 2),
    ]
    last = np.where(np.isfinite(scores), scores, -1e9)
    first = rows[0]
    assert first.tau == pytest.approx(stats.kendalltau(last, accuracy).statistic)
    assert first.tau_low < first.tau < first.tau_high
    assert first.rho == pytest.approx(stats.spearmanr(last, accuracy).statistic)
    assert first.ndcg == pytest.approx(correlation.ndcg(last, accuracy))
    assert first.argmax_accuracy == accuracy[last.argmax()]
    assert first.top10_accuracy == pytest.approx(accuracy[np.argsort(-last)[:10]].mean())
    best = np.argsort(-accuracy)[:5]
    assert first.tau_best_tenth == pytest.approx(
        stats.kendalltau(last[best], accuracy[best]).statistic
    )
    given = correlation.partial_spearman
    assert first.partial_rho == pytest.approx(given(last, accuracy, params))
    assert first.partial_rho_size == pytest.approx(given(last, accuracy, params, macs))
    assert first.partial_rho != pytest.approx(first.partial_rho_size)
    assert first.seconds == 2.5
    pairs = equal_size_pairs(scores, accuracy, params)
    shares = (first.equal_params, first.equal_params_low, first.equal_params_high)
    assert (*shares, first.equal_params_pairs) == pytest.approx(pairs)
    assert math.isnan(first.ceiling_tau) and math.isnan(first.ceiling_equal_params)
    whole = ranking_rows(columns_, accuracies, params, macs, np.ones(50, dtype=bool), 0)
    assert {row.subset for row in whole} == {FULL}


def test_rows_hold_the_ceiling_of_a_column_whose_networks_were_trained_repeatedly() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(90, 2, size=400)
    accuracies = {"test": truth + rng.normal(size=400) / math.sqrt(3), "other": truth}
    noise = {"test": Noise(np.ones(400), np.full(400, 3.0))}
    params, every = rng.integers(50, 99, size=400).astype(float), np.ones(400, dtype=bool)
    perfect = Column("perfect", "single", MEAN, truth)
    test, other = ranking_rows([perfect], accuracies, params, params, every, 0, noise)
    assert test.ceiling_tau == pytest.approx(test.tau, abs=0.04)
    assert test.ceiling_equal_params == pytest.approx(test.equal_params, abs=0.02)
    assert test.ceiling_tau_single < test.ceiling_tau - 0.05
    assert test.ceiling_equal_params_single < test.ceiling_equal_params - 0.03
    assert math.isnan(other.ceiling_tau)
    notes = ranking_notes([test, other])
    assert len(notes) == 2 and "0.5 is a coin" in notes[0]
    for value in (test.ceiling_tau, test.ceiling_equal_params, test.ceiling_tau_single):
        assert f"{value:.3f}" in notes[1]


def test_the_plot_of_equal_sizes_shows_shares_intervals_and_ceiling() -> None:
    panel = Panel(
        "c10",
        {
            "good": Share(0.8, 0.7, 0.9),
            "coin": Share(0.5, 0.4, 0.6),
            "bad": Share(0.3, 0.2, 0.4),
            "none": Share(NAN, NAN, NAN),
        },
        0.95,
    )
    axes = equal_size_figure([panel]).axes[0]
    lines = [np.asarray(line.get_xdata(), dtype=float).tolist() for line in axes.lines]
    assert lines[:2] == [[0.5, 0.5], [0.95, 0.95]]
    assert sorted(lines[2:]) == sorted([[0.7, 0.9], [0.8], [0.4, 0.6], [0.5], [0.2, 0.4], [0.3]])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["none", "bad", "coin", "good"]  # from below


def test_architectures_are_a_number_all_or_a_list_of_rows(tmp_path: Path) -> None:
    table = read(
        "nasbench201", path=str(nasbench201(tmp_path / "t.csv", 30)), test=["c10_test_200"]
    )
    assert select_rows(table, "all", 0) == list(range(30))
    assert select_rows(table, [4, 2], 0) == [4, 2]
    few, more = select_rows(table, 5, 0), select_rows(table, 20, 0)
    assert more[:5] == few  # a larger number continues a smaller one
    assert len(set(more)) == 20
    assert select_rows(table, 20, 1) != more
    wrong: list[Any] = [1, 31, 0, True, "some", None, [3], [1, 1], [0, 30], [0, "x"], 2.5]
    for architectures in wrong:
        with pytest.raises(InputError, match="architectures"):
            select_rows(table, architectures, 0)


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", False),
        ("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|", False),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|", True),
        ("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|skip_connect~2|", True),
        ("|none~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|", True),
        ("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", False),
    ],
)
def test_dead_branches_are_edges_on_no_path(text: str, dead: bool) -> None:
    assert has_dead_branch(SPACE.graphs(SPACE.parse(text))) == dead


def test_number_of_cells_without_dead_branches_is_the_published_one(shared_data: Path) -> None:
    table = read("nasbench201", path=str(shared_data / "nasbench201.csv"))
    with (shared_data / "nasbench201_peer_scores.csv").open(newline="") as file:
        scored = [bool(row["c10_nbsz_params"]) for row in csv.DictReader(file)]
    ours = [not has_dead_branch(SPACE.graphs(cell)) for cell in table.architectures]
    assert ours == scored
    assert sum(ours) == 9445


def test_sampled_cells_of_other_spaces_have_no_dead_branch() -> None:
    rng = np.random.default_rng(0)
    for name in ("nasbench101", "darts"):
        space = SPACES.get(name).space()
        for _ in range(20):
            assert not has_dead_branch(space.graphs(space.sample(rng)))


def test_tau_of_the_parameter_count_is_the_published_one(shared_data: Path) -> None:
    # METHODS.md, section 3: .57/.55/.52 and .75/.73/.69 over all cells.
    table = read("nasbench201", path=str(shared_data / "nasbench201.csv"))
    params = np.array([float(SPACE.cost(a, (3, 32, 32), 10).params) for a in table.architectures])
    accuracies = {name: table.columns[name] for name in table.test}
    size = Column("params", "single", MEAN, params)
    rows = ranking_rows([size], accuracies, params, params, np.ones(len(params), dtype=bool), 100)
    for row, tau, rho in zip(rows, (0.57, 0.55, 0.52), (0.75, 0.73, 0.69), strict=True):
        assert row.n == 15_625
        assert row.tau == pytest.approx(tau, abs=0.01)
        assert row.rho == pytest.approx(rho, abs=0.01)
        assert 0.01 < row.tau_high - row.tau_low < 0.04
        assert math.isnan(row.partial_rho)


def test_figures_show_the_values_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    accuracy = rng.uniform(60, 95, size=50)
    scores = accuracy + rng.normal(0, 8, size=50)
    scores[:4] = NAN
    scores[10] = 1e9  # one far outlier does not flatten the others
    figure = scatter_figure("score", scores, {"test": accuracy, "other": accuracy})
    for axes in figure.axes:
        points = {line.get_gid(): np.size(line.get_xdata()) for line in axes.lines}
        assert (points["scores"], points["outside"], points["dead"]) == (45, 1, 4)
        assert axes.get_xlim()[1] < 1000
    ranked = [
        Column("good", "single", MEAN, accuracy),
        Column("bad", "single", MEAN, -accuracy),
        Column("sum", "aggregate", MEAN, accuracy + scores),
    ]
    rows = ranking_rows(
        ranked[::-1], {"test": accuracy}, accuracy, accuracy, np.ones(50, dtype=bool), 0
    )
    chart = heatmap_figure(rows).axes[0]
    assert [label.get_text() for label in chart.get_yticklabels()] == [
        "good",
        "bad",
        "sum (aggregate)",
    ]
    colors = np.asarray(chart.images[0].get_array())
    assert colors[:2].ravel().tolist() == [1, -1]
    (table,) = ranking_tables(rows)
    assert list(table.columns[0].cells) == ["good", "bad", "sum (aggregate)"]
    assert table.title == "test, all (n = 50)"
