"""How well models that are fitted to trained networks order others: by labels, and across spaces.

    python -m studies.fitted --data ../shared/data [--page docs/study_tables.md] [--draws 10]

1. Within a space: the package's model of structure, fitted to so many random networks, orders the
   others (Kendall's tau, over draws), one text of each network. Beside it the published figures of
   GRAF and FLAN for as many labels, which studies/results/fitted_published.csv holds with their
   sources, and the package's model on the texts that these are of, as far as known: GRAF leaves out
   cells with unreachable operations; of neither is known that texts of one network stay together.
2. Across spaces: a forest fitted on all networks of one space, with only those features that the
   other has too (studies/shared_features.py), orders the other's networks.

Without --page it prints the tables; what the CSV holds is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.ensemble import ExtraTreesRegressor

from nas_search.features import graph_features
from nas_search.priors import shipped_prior
from nas_search.priors.fit import FEATURES_PER_SPLIT, leaf_size
from nas_search.priors.forest import Array
from nas_search.priors.held_out import Rows, cross_validated
from nas_search.priors.shipped import shipped_names
from nas_search.priors.warp import normal_scores
from nas_search.ranking.correlation import bootstrap_tau, kendall_tau, spearman_rho
from nas_search.spaces import SPACES
from nas_search.spaces.four_nodes import EDGES
from studies import guided
from studies.markdown import number, replaced, table
from studies.prior_methods import forest, package
from studies.result_files import RESULTS, Row, read_rows, write_rows
from studies.shared_features import shared
from studies.shipped_priors import READERS, Trainings

LABELS = (32, 128, 512, 1024)
FEW = 400
"""Labels up to which the package's model has a Gaussian process beside the forest."""

NETWORKS, TEXTS = "networks", "texts"

MOST_FITTED = 0.6
"""Share of a space's networks that is fitted on at most: the others judge."""

JUDGES = {
    "nasbench201": ("c10_test_200",),
    "nasbench101": ("c10_108",),
    "transnas_micro": ("class_object", "class_scene"),
    "darts": ("full_600", "short_50"),
}
"""Accuracies that judge, by space; a space is fitted on all of its."""

MOST = 2000
"""Networks of a space that are fitted on or judged across spaces."""

TREES = 200
WAYS = ("as they are", "standardized")
FILES = {
    "labels": ("space", "column", "of", "labels", "draw", "judged_on", "tau"),
    "across": (
        *("fitted_on", "judged_on", "column", "way", "features", "n"),
        *("tau", "tau_low", "tau_high", "rho"),
    ),
    "published": ("method", "space", "column", "labels", "tau", "source"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, help="the page whose tables are written anew")
    options = parser.parse_args()
    known = {name: READERS[name](options.data) for name in JUDGES}
    across(known, options.results / "fitted_across.csv")
    labels(known, options.draws, options.results / "fitted_labels.csv")
    page = options.page.read_text(encoding="utf-8") if options.page else ""
    for name, text in tables(options.results).items():
        print(text)
        page = replaced(page, name, text) if page else page
    if options.page:
        options.page.write_text(page, encoding="utf-8")


def labels(known: dict[str, Trainings], draws: int, file: Path) -> None:
    """Add what is missing of the figures by number of labels."""
    rows = read_rows(file)
    done = {tuple(row[key] for key in FILES["labels"][:5]) for row in rows}
    for space, columns in JUDGES.items():
        trainings = known[space]
        x = graph_features(trainings.space, trainings.architectures).values
        for column in columns:
            y = trainings.accuracies[column]
            for of, trained in sets(trainings, column).items():
                for count in (one for one in LABELS if one <= MOST_FITTED * len(trained)):
                    for draw in range(draws):
                        told = (space, column, of, str(count), str(draw))
                        if told in done:
                            continue
                        rng = np.random.default_rng([draw, count, *space.encode()])
                        fit = rng.choice(trained, count, replace=False)
                        rest = np.setdiff1d(trained, fit)
                        model = package if count <= FEW else forest
                        said = model(x[fit], None, normal_scores(y[fit]), x[rest], None)
                        tau = f"{kendall_tau(said, y[rest]):.4f}"
                        line = (*told, str(len(rest)), tau)
                        rows.append(dict(zip(FILES["labels"], line, strict=True)))
                    write_rows(file, FILES["labels"], rows)


def sets(trainings: Trainings, column: str) -> dict[str, np.ndarray]:
    """Return the rows to fit on and to judge by what they are of: networks, and texts of tables.

    Texts are those that published figures are of, where there are some and they are others.
    """
    trained = np.flatnonzero(~np.isnan(trainings.accuracies[column]))
    cells = [trainings.architectures[row] for row in trained.tolist()]
    keys = [trainings.space.canonical(cell) for cell in cells]
    found = {NETWORKS: trained[np.unique(keys, return_index=True)[1]]}
    if trainings.space.name == "nasbench201":
        found[TEXTS] = trained
    if trainings.space.name == "transnas_micro":
        found[TEXTS] = trained[np.array([all_reached(cell) for cell in cells])]
    return found


def all_reached(cell: Any) -> bool:
    """Return whether every operation of a cell of four nodes reads its input and is read."""
    edges = [edge for edge, name in zip(EDGES, cell.choices, strict=True) if name != "none"]
    forth, back = {0}, {3}
    for source, target in edges:  # EDGES are in the order of their targets
        forth |= {target} if source in forth else set()
    for source, target in sorted(edges, reverse=True):
        back |= {source} if target in back else set()
    return bool(edges) and all(source in forth and target in back for source, target in edges)


def across(known: dict[str, Trainings], file: Path) -> None:
    """Add what is missing of the figures across spaces; a space with itself is cross-validated."""
    rows = read_rows(file)
    done = {(row["fitted_on"], row["judged_on"], row["column"], row["way"]) for row in rows}
    small = {name: _some(one) for name, one in known.items()}
    for source in JUDGES:
        for target, columns in JUDGES.items():
            todo = [
                (column, way)
                for column in columns
                for way in WAYS
                if (source, target, column, way) not in done
            ]
            if not todo:
                continue
            one, other = small[source], small[target]
            names, x, z = shared(one.space, one.architectures, other.space, other.architectures)
            for column, way in todo:
                y = other.accuracies[column]
                judging = np.flatnonzero(~np.isnan(y))
                if way == "standardized":
                    a, b = _standardized(x), _standardized(z)
                else:
                    a, b = x, z
                said = (
                    _itself(other, column, b, judging)
                    if source == target
                    else _fitted(one, a, b[judging])
                )
                y = y[judging]
                low, high = bootstrap_tau(said, y, 1000)
                figures = (kendall_tau(said, y), low, high, spearman_rho(said, y))
                told = (source, target, column, way, str(len(names)), str(len(y)))
                line = (*told, *(f"{one:.4f}" for one in figures))
                rows.append(dict(zip(FILES["across"], line, strict=True)))
            write_rows(file, FILES["across"], rows)


def _some(trainings: Trainings) -> Trainings:
    """Return at most :data:`MOST` of the trainings."""
    count = len(trainings.architectures)
    order = np.random.default_rng(1).permutation(count)[:MOST]
    return trainings.part(np.sort(order))


def _standardized(x: Array) -> Array:
    """Return features in standard deviations over the networks of their own space."""
    spread = x.std(0)
    return np.asarray((x - x.mean(0)) / np.where(spread > 0, spread, 1.0))


def _forest(x: Array, y: Array, weights: Array) -> ExtraTreesRegressor:
    model = ExtraTreesRegressor(
        TREES, min_samples_leaf=leaf_size(len(y)), max_features=FEATURES_PER_SPLIT, random_state=0
    )
    return model.fit(x, y, weights)


def _fitted(trainings: Trainings, x: Array, z: Array) -> Array:
    """Return what a forest of all accuracies of a space says of networks of features z."""
    parts = []
    for protocol, column in trainings.accuracies.items():
        rows = np.flatnonzero(~np.isnan(column))
        weights = np.full(len(rows), trainings.weights[protocol])
        parts.append((x[rows], normal_scores(column[rows]), weights))
    features, accuracies, weights = map(np.concatenate, zip(*parts, strict=True))
    return np.asarray(_forest(features, accuracies, weights).predict(z))


def _itself(trainings: Trainings, column: str, x: Array, judging: np.ndarray) -> Array:
    """Return out of cross-validation what forests of the same accuracy say."""
    keys = [trainings.space.canonical(one) for one in trainings.architectures]
    y = trainings.accuracies[column]

    def predict(train: Rows, test: Rows) -> Array:
        rows = np.flatnonzero(train & ~np.isnan(y))
        model = _forest(x[rows], normal_scores(y[rows]), np.ones(len(rows)))
        return np.asarray(model.predict(x[np.flatnonzero(test)]))

    return cross_validated(keys, judging, predict)


def tables(results: Path) -> dict[str, str]:
    """Return the tables of what is fitted by the name of their marks."""
    return {
        "fitted priors": _priors(),
        "fitted labels": _labels(
            read_rows(results / "fitted_labels.csv"), read_rows(results / "fitted_published.csv")
        ),
        "fitted across": _across(read_rows(results / "fitted_across.csv")),
        "fitted guided": guided.summary(read_rows(results / "guided.csv")),
    }


def _priors() -> str:
    lines = []
    for name in shipped_names():
        for figure in shipped_prior(SPACES.get(name).space()).card["held_out"]:
            if "cross-validation" in figure["how"]:
                figures = (number(str(figure[key])) for key in ("tau", "rho", "pairs"))
                lines.append([f"`{name}`", figure["protocol"], f"{figure['n']:,}", *figures])
    return table(("prior of", "judged on", "n", "tau", "rho", "pairs of equal size"), lines)


def _labels(rows: Sequence[Row], published: Sequence[Row]) -> str:
    """Return tau by number of labels: ours with 95 % intervals over draws, and published ones."""
    counts = sorted({int(row["labels"]) for row in (*rows, *published)})
    own: dict[tuple[str, str, str], dict[int, str]] = {}
    models = {NETWORKS: "the package's", TEXTS: "the package's, on texts"}
    for key in dict.fromkeys((row["space"], row["column"], row["of"]) for row in rows):
        space, column, of = key
        for count in counts:
            taus = [
                float(row["tau"])
                for row in rows
                if (row["space"], row["column"], row["of"]) == key and row["labels"] == str(count)
            ]
            if taus:
                half = t.ppf(0.975, len(taus) - 1) * np.std(taus, ddof=1) / np.sqrt(len(taus))
                told = f"{number(str(np.mean(taus)))} +- {number(str(half))}"
                own.setdefault((space, column, models[of]), {})[count] = told
    for row in published:
        key = (row["space"], row["column"], f"{row['method']} (published)")
        own.setdefault(key, {})[int(row["labels"])] = number(row["tau"])
    spaces = list(JUDGES)
    keys = sorted(own, key=lambda key: (spaces.index(key[0]), key[1]))
    lines = [[*key, *(own[key].get(count, "") for count in counts)] for key in keys]
    return table(("space", "accuracy", "model", *(f"{count:,}" for count in counts)), lines)


def _across(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        if row["way"] != WAYS[0]:
            continue
        key = tuple(row[name] for name in ("fitted_on", "judged_on", "column"))
        other = next(
            one
            for one in rows
            if one["way"] == WAYS[1]
            and tuple(one[name] for name in ("fitted_on", "judged_on", "column")) == key
        )
        itself = " (cross-validated)" if key[0] == key[1] else ""
        lines.append(
            [
                *(f"`{key[0]}`{itself}", f"`{key[1]}`, {key[2]}", row["features"]),
                f"{int(row['n']):,}",
                *(_interval(one) for one in (row, other)),
                number(other["rho"]),
            ]
        )
    order = {f"`{name}`, {column}": i for name, of in JUDGES.items() for i, column in enumerate(of)}
    spaces = list(JUDGES)
    lines.sort(key=lambda line: (spaces.index(line[1].split("`")[1]), order[line[1]]))
    titles = (
        *("judged on", "n", "fitted on", "features", "tau, features as they are"),
        *("tau, standardized", "rho, standardized"),
    )
    return table(titles, [[b, n, a, f, *rest] for a, b, f, n, *rest in lines])


def _interval(row: Row) -> str:
    tau, low, high = (number(row[name]) for name in ("tau", "tau_low", "tau_high"))
    return f"{tau} [{low}, {high}]"


if __name__ == "__main__":
    main()
