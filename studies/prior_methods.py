"""Which model orders cells best after few trainings: forests, Gaussian processes, both, residuals.

The rule, written before any figure: of the methods below that wins which orders most pairs of
networks within 10 % of parameters rightly on NAS-Bench-201 after 50 and after 200 trained cells,
structure and the score together, mean of both numbers and of all draws; cells are drawn from the
development half of studies.halves, and the other cells of that half judge. Then it is compared once
with the method of the package on the other half, by draws of other seeds. It replaces that method
only if it is better there, and, without a score, on NAS-Bench-101 and in cross-validation on DARTS
too.

    python -m studies.prior_methods --data TABLES --scores outputs/classes/scores.csv \
        [--places ...] [--methods ...] [--draws 8] [--page docs/prior.md]

Accuracies are those after full training. No text of a network that was learned from judges.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LinearRegression

from nas_search.features import graph_features
from nas_search.priors.fit import FEATURES_PER_SPLIT, leaf_size
from nas_search.priors.fit_process import fit_process
from nas_search.priors.forest import Array
from nas_search.priors.held_out import SIMILAR
from nas_search.priors.line import line_of
from nas_search.priors.prior import COPIES
from nas_search.priors.warp import normal_scores
from nas_search.spaces import SPACES
from nas_search.tables import BENCHMARKS
from studies.evolution_by_score import read_scores
from studies.halves import half
from studies.markdown import replaced, table
from studies.result_files import RESULTS, Row, read_rows, write_rows
from studies.shipped_priors import read_csv, read_darts

TREES = 100
TRAININGS = (50, 200)
JUDGED = 1500
"""Cells that judge a draw."""
COLUMNS = ("place", "method", "trainings", "draw", "pairs")


@dataclass(frozen=True)
class Cells:
    """Trained cells of one place.

    Attributes:
        network: (n,) number of the network that a cell is a text of.
        features: (n, features) of structure.
        score: (n,) normal scores of the score; None where there is none.
        accuracy: (n,) after full training.
        params: (n,).
        learned: (n,) bool: may be learned from.
        judging: (n,) bool: judge what was not learned from.
    """

    network: np.ndarray
    features: Array
    score: Array | None
    accuracy: Array
    params: Array
    learned: np.ndarray
    judging: np.ndarray


Method = Callable[[Array, Array | None, Array, Array, Array | None], Array]
"""Maps features and score of the trained, their normal scores, and features and score of others
to predictions of those."""


def with_copies(features: Array, score: Array | None) -> Array:
    """Return what the forest of the package sees."""
    if score is None:
        return features
    return np.concatenate([features, np.repeat(score[:, None], COPIES, axis=1)], axis=1)


def forest(x: Array, s: Array | None, y: Array, x2: Array, s2: Array | None) -> Array:
    """As the package does after many trainings, and did after few."""
    model = ExtraTreesRegressor(
        TREES, min_samples_leaf=leaf_size(len(y)), max_features=FEATURES_PER_SPLIT, random_state=0
    )
    return np.asarray(model.fit(with_copies(x, s), y).predict(with_copies(x2, s2)))


def boosting(x: Array, s: Array | None, y: Array, x2: Array, s2: Array | None) -> Array:
    """Return gradient boosting, with small steps."""
    model = GradientBoostingRegressor(
        n_estimators=150,
        learning_rate=0.05,
        max_depth=3,
        subsample=0.7,
        max_features=0.3,
        random_state=0,
    )
    return np.asarray(model.fit(with_copies(x, s), y).predict(with_copies(x2, s2)))


def process(x: Array, s: Array | None, y: Array, x2: Array, s2: Array | None) -> Array:
    """Return a Gaussian process: one length over standardized features, one over the score."""
    spread = x.std(0)
    kept = spread > 0
    scale = np.sqrt(kept.sum())
    a, b = ((one[:, kept] - x[:, kept].mean(0)) / spread[kept] / scale for one in (x, x2))
    kernel = RBF(1.0) + WhiteKernel(0.1)
    if s is not None and s2 is not None:
        a, b = (np.column_stack(pair) for pair in ((a, s), (b, s2)))
        lengths = np.append(np.ones(a.shape[1] - 1), 1.0)
        return _tuned(a, y, b, lengths)
    model = GaussianProcessRegressor(kernel, normalize_y=True).fit(a, y)
    return np.asarray(model.predict(b))


def _tuned(a: Array, y: Array, b: Array, lengths: Array) -> Array:
    """Return the process with the weight of its last column that has the highest likelihood."""
    best, found = -np.inf, np.zeros(len(b))
    for weight in (0.2, 0.5, 1.0, 2.0):
        scaled = lengths.copy()
        scaled[-1] = weight
        model = GaussianProcessRegressor(RBF(1.0) + WhiteKernel(0.1), normalize_y=True)
        model.fit(a * scaled, y)
        if model.log_marginal_likelihood_value_ > best:
            best = model.log_marginal_likelihood_value_
            found = np.asarray(model.predict(b * scaled))
    return found


def beside_line(method: Method) -> Method:
    """Return the score's line, and a method on what it leaves; the method alone without a score."""

    def fitted(x: Array, s: Array | None, y: Array, x2: Array, s2: Array | None) -> Array:
        if s is None or s2 is None:
            return method(x, s, y, x2, s2)
        line = LinearRegression().fit(s[:, None], y)
        rest = method(x, s, y - line.predict(s[:, None]), x2, s2)
        return np.asarray(line.predict(s2[:, None]) + rest)

    return fitted


def mean_of(*methods: Method) -> Method:
    """Return the mean of several methods."""

    def fitted(x: Array, s: Array | None, y: Array, x2: Array, s2: Array | None) -> Array:
        predictions = [method(x, s, y, x2, s2) for method in methods]
        return np.asarray(np.mean(predictions, axis=0))

    return fitted


def package(x: Array, s: Array | None, y: Array, x2: Array, s2: Array | None) -> Array:
    """As the package does after few trainings, with fewer trees."""
    known = np.empty((len(x), 0)) if s is None else s[:, None]
    others = np.empty((len(x2), 0)) if s2 is None else s2[:, None]
    weights = np.ones(len(y))
    line = line_of(known, y, weights)
    known, others = line.warped(known), line.warped(others)
    near = fit_process(x, known, y, weights).predict(x2, others)[0]
    trees = forest(x, s, y - line.predict(known), x2, s2)
    return np.asarray((line.predict(others) + trees + near) / 2)


METHODS: dict[str, Method] = {
    "forest": forest,
    "boosting": boosting,
    "process": process,
    "line + forest": beside_line(forest),
    "line + process": beside_line(process),
    "forest and process": mean_of(forest, process),
    "forest, process and boosting": mean_of(forest, process, boosting),
    "line + (forest and process)": beside_line(mean_of(forest, process)),
    "(line + forest) and process": mean_of(beside_line(forest), process),
    "the package's": package,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True, help="scores.csv of all classes")
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS / "prior_methods.csv")
    parser.add_argument("--page", type=Path, help="the page whose table is written anew")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")  # lengths at the edge of their range
    for place in options.places:
        measure(place, PLACES[place](options.data, options.scores), options)
    rows = read_rows(options.out)
    print(shown(rows))
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(replaced(page, "prior methods", shown(rows)), encoding="utf-8")


def measure(place: str, cells: Cells, options: argparse.Namespace) -> None:
    """Add what is missing of a place to the CSV."""
    rows = read_rows(options.out)
    done = {tuple(row[name] for name in COLUMNS[:4]) for row in rows}
    for draw in range(options.draws):
        for trainings in TRAININGS:
            if trainings > cells.learned.sum() / 2:
                trainings = int(cells.learned.sum() / 2)
            for method in options.methods:
                told = (place, method, str(trainings), str(draw))
                if told in done:
                    continue
                done.add(told)
                share = one_draw(cells, METHODS[method], trainings, draw, place)
                rows.append(dict(zip(COLUMNS, (*told, f"{share:.4f}"), strict=True)))
                write_rows(options.out, COLUMNS, rows)


def one_draw(cells: Cells, method: Method, trainings: int, draw: int, place: str) -> float:
    """Return the share of pairs that a method orders rightly after so many trainings."""
    rng = np.random.default_rng([draw, trainings, *place.encode()])
    trained = rng.choice(np.flatnonzero(cells.learned), trainings, replace=False)
    seen = np.isin(cells.network, cells.network[trained])
    others = np.flatnonzero(cells.judging & ~seen)
    judging = rng.permutation(others)[:JUDGED]
    of = (cells.score[trained], cells.score[judging]) if cells.score is not None else (None, None)
    predicted = method(
        cells.features[trained],
        of[0],
        normal_scores(cells.accuracy[trained]),
        cells.features[judging],
        of[1],
    )
    return pairs(predicted, cells.accuracy[judging], cells.params[judging])


def pairs(predicted: Array, accuracy: Array, params: Array) -> float:
    """Return the share of pairs within 10 % of parameters ordered rightly; ties are half right."""
    gap = np.abs(params[:, None] - params) / np.maximum(params[:, None], params)
    counted = np.triu((gap <= SIMILAR) & (accuracy[:, None] != accuracy), 1)
    same = np.sign(predicted[:, None] - predicted) * np.sign(accuracy[:, None] - accuracy)
    return float(((same + 1) / 2)[counted].mean())


def nasbench201(data: Path, scores: Path, judged_by: str = "development") -> Cells:
    """Return the networks of NAS-Bench-201."""
    space = SPACES.get("nasbench201").space()
    record = BENCHMARKS.get("nasbench201")
    table = record.read(space, record.options(str(data / "nasbench201.csv"), "c10_test_200"))
    gradalign = read_scores(scores, table)["gradalign"]
    rows = read_csv(data / "nasbench201.csv")
    keys = [space.canonical(space.parse(row["arch_str"])) for row in rows]
    known = [number for number, key in enumerate(keys) if key in gradalign]
    rows, keys = [rows[number] for number in known], [keys[number] for number in known]
    _, where, network = np.unique(keys, return_index=True, return_inverse=True)
    first = [rows[number]["arch_str"] for number in where.tolist()]
    development = np.array([half(row["arch_str"]) == "development" for row in rows])
    return Cells(
        network=network,
        features=graph_features(space, first).values[network],
        score=normal_scores([gradalign[key] for key in keys]),
        accuracy=np.array([float(row["c10_test_200"]) for row in rows]),
        params=np.array([float(row["params_M"]) for row in rows]),
        learned=development,
        judging=development if judged_by == "development" else ~development,
    )


def nasbench201_other(data: Path, scores: Path) -> Cells:
    """Return the same, judged by the other half."""
    return nasbench201(data, scores, "heldout")


def nasbench101(data: Path, _: Path) -> Cells:
    """Return 4,000 cells of NAS-Bench-101, without a score."""
    space, record = SPACES.get("nasbench101").space(), BENCHMARKS.get("nasbench101")
    path = data / "nasbench101.npz"
    table = record.read(space, record.options(str(path)))
    rows = np.random.default_rng(1).permutation(len(table))[:4000]
    with np.load(path) as archive:
        params = archive["params"][rows].astype(float)
    cells = [table.architectures[row] for row in rows.tolist()]
    every = np.ones(len(rows), dtype=bool)
    accuracy = table.columns[table.validation][rows]
    return Cells(rows, graph_features(space, cells).values, None, accuracy, params, every, every)


def darts(protocol: str) -> Callable[[Path, Path], Cells]:
    """Return the reader of the cells of one protocol of DARTS, without a score."""

    def read(data: Path, _: Path) -> Cells:
        trainings = read_darts(data)
        rows = np.flatnonzero(~np.isnan(trainings.accuracies[protocol]))
        part = trainings.part(rows)
        params = [
            float(part.space.cost(one, (3, 32, 32), 10, **part.sizes).params)
            for one in part.architectures
        ]
        values = graph_features(part.space, part.architectures).values
        every = np.ones(len(rows), dtype=bool)
        return Cells(rows, values, None, part.accuracies[protocol], np.array(params), every, every)

    return read


def with_default_score(place: str) -> Callable[[Path, Path], Cells]:
    """Return the reader of the networks of studies/results/network_scores.csv, in default sizes."""

    def read(data: Path, _: Path) -> Cells:
        rows = [row for row in read_rows(RESULTS / "network_scores.csv") if row["place"] == place]
        name = place if place in SPACES.names() else "darts"
        space = SPACES.get(name).space()
        cells = [space.parse(row["genotype"]) for row in rows]
        accuracy = accuracies_of(place, space, cells, data)
        keys = [space.canonical(cell) for cell in cells]
        return Cells(
            network=np.unique(keys, return_inverse=True)[1],
            features=graph_features(space, cells).values,
            score=normal_scores([float(row["gradalign"] or -1) for row in rows]),
            accuracy=accuracy,
            params=np.array([float(row["params"]) for row in rows]),
            learned=np.ones(len(rows), dtype=bool),
            judging=np.ones(len(rows), dtype=bool),
        )

    return read


def accuracies_of(place: str, space: Any, cells: Sequence[Any], data: Path) -> Array:
    """Return the accuracies of cells after full training."""
    if place == "nasbench101":
        record = BENCHMARKS.get(place)
        table = record.read(space, record.options(str(data / "nasbench101.npz")))
        return np.array([table.accuracy(cell, table.validation) for cell in cells], dtype=float)
    table_of_darts = ("darts_trained.csv", "genotype", "c10_acc")
    other = ("nasbench201.csv", "arch_str", "c10_test_200")
    file, text, value = other if place == "nasbench201" else table_of_darts
    rows = [row for row in read_csv(data / file) if row.get("protocol", place) == place]
    known = {space.canonical(space.parse(row[text])): float(row[value]) for row in rows}
    return np.array([known[space.canonical(cell)] for cell in cells])


PLACES: dict[str, Callable[[Path, Path], Cells]] = {
    "nasbench201": nasbench201,
    "nasbench201, other half": nasbench201_other,
    "nasbench101": nasbench101,
    "darts full_600": darts("full_600"),
    "darts short_50": darts("short_50"),
    **{
        f"{place}, default score": with_default_score(place)
        for place in ("nasbench201", "nasbench101", "full_600", "short_50")
    },
}


def shown(rows: Sequence[Row]) -> str:
    """Return mean shares over draws with their 95 % intervals, a line per place and method."""
    values: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in rows:
        of_method = values.setdefault((row["place"], row["method"]), {})
        of_method.setdefault(int(row["trainings"]), []).append(float(row["pairs"]))
    lines = [
        [
            place,
            method,
            str(len(next(iter(told.values())))),
            *(map(_interval, sorted(told.items()))),
        ]
        for (place, method), told in sorted(values.items(), key=lambda one: _order(*one[0]))
    ]
    return table(("place", "method", "draws", "few trainings", "more"), lines)


def _order(place: str, method: str) -> tuple[int, int]:
    return list(PLACES).index(place), list(METHODS).index(method)


def _interval(told: tuple[int, list[float]]) -> str:
    """Return trainings, mean and half the width of its interval over draws."""
    trainings, shares = told
    half_width = t.ppf(0.975, len(shares) - 1) * np.std(shares, ddof=1) / np.sqrt(len(shares))
    return f"{trainings}: {_share(np.mean(shares))} +- {_share(half_width)}"


def _share(value: Any) -> str:
    return f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    main()
