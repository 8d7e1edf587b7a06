"""Fit the priors that the package brings, and judge each on architectures that it did not see.

    python -m studies.shipped_priors darts nasbench201 nasbench101 --data ../shared/data

writes nas_search/priors/shipped/NAME.prior. A table of a whole space is fitted on the development
half of studies.halves alone. The card of a prior holds its figures: the share of pairs of networks
within 10 % of parameters that it orders rightly, Kendall's tau and Spearman's rho, all out of
cross-validation or of other protocols alone, each with the 95 % interval of a bootstrap over
architectures. The reference of gradalign is measured on random architectures in the sizes and on
the data of the default search; --references keeps those of the files that are there.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from nas_search.commands.command import CONF
from nas_search.commands.groups import read_choice
from nas_search.commands.own_architectures import default_sizes
from nas_search.commands.settings import Settings, scoring_task
from nas_search.core.errors import InputError
from nas_search.data import DATASETS
from nas_search.priors import Prior, fit_prior, load_prior
from nas_search.priors.forest import Array
from nas_search.priors.held_out import FOLDS, HeldOut, Rows, cross_validated, judged
from nas_search.priors.reference import Reference, reference_of
from nas_search.priors.shipped import ENDING, FOLDER
from nas_search.proxies import PROXIES
from nas_search.scoring import Executor, start_workers
from nas_search.spaces import SearchSpace
from nas_search.tables import BENCHMARKS
from studies.halves import half

SAMPLED = 3000
"""Cells of the development half of a benchmark that its prior is fitted on."""
FEWEST_ELSEWHERE = 20
REFERENCE_SIZE = 100
"""Random architectures that a reference is measured on."""
ON_TEXT = {"flexibert": 30}
"""Spaces whose reference is measured on dataset=text, and on how many architectures: large ones."""


@dataclass(frozen=True)
class Trainings:
    """Trained architectures of one space.

    Attributes:
        space: the space.
        architectures: (n).
        accuracies: (n,) in percent by protocol, NaN where one was not trained so.
        weights: of the protocols: nearness to full training.
        told: fields of the card.
        sizes: of the networks whose parameters make pairs of equal size.
    """

    space: SearchSpace[Any]
    architectures: Sequence[Hashable]
    accuracies: Mapping[str, Array]
    weights: Mapping[str, float]
    told: Mapping[str, str]
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def part(self, rows: NDArray[np.int64]) -> Trainings:
        """Return the trainings of some of the architectures."""
        chosen = [self.architectures[row] for row in rows.tolist()]
        columns = {name: column[rows] for name, column in self.accuracies.items()}
        return replace(self, architectures=chosen, accuracies=columns)

    def fit(self, seed: int = 0) -> Prior:
        """Return the prior that all of them teach."""
        return fit_prior(
            self.space, self.architectures, self.accuracies, self.weights, seed=seed, process=False
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spaces", nargs="+", choices=sorted(READERS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--references", action="store_true", help="keep those that are there")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for name in options.spaces:
        trainings = READERS[name](options.data)
        file = FOLDER / f"{name}{ENDING}"
        kept = load_prior(file, trainings.space).references if options.references else None
        prior = trainings.fit()
        figures = held_out(trainings)
        card = {
            **trainings.told,
            "trainings": {
                protocol: int((~np.isnan(column)).sum())
                for protocol, column in trainings.accuracies.items()
            },
            "weights": dict(trainings.weights),
            "held_out": [figure.to_json() for figure in figures],
        }
        references = kept or {"gradalign": measured_reference(name)}
        prior.described(card, references).save(file)
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")
        for figure in figures:
            print(f"  {figure}")


def held_out(trainings: Trainings) -> list[HeldOut]:
    """Return how well priors order the architectures of each protocol that they did not see."""
    keys = [trainings.space.canonical(one) for one in trainings.architectures]
    params = np.array(
        [
            trainings.space.cost(one, (3, 32, 32), 10, **trainings.sizes).params
            for one in trainings.architectures
        ],
        dtype=float,
    )

    def predict(train: Rows, test: Rows) -> Array:
        prior = trainings.part(np.flatnonzero(train)).fit()
        return prior.predict(trainings.part(np.flatnonzero(test)).architectures)[0]

    figures = []
    for protocol, column in trainings.accuracies.items():
        known = np.flatnonzero(~np.isnan(column))
        ways = {f"{FOLDS}-fold cross-validation": cross_validated(keys, known, predict)}
        others = {name: one for name, one in trainings.accuracies.items() if name != protocol}
        judged_keys = {keys[row] for row in known}
        unseen = np.flatnonzero([key not in judged_keys for key in keys])
        if len(unseen) > FEWEST_ELSEWHERE:
            elsewhere = replace(trainings, accuracies=others).part(unseen)
            ways["fitted on the other protocols alone"] = elsewhere.fit().predict(
                trainings.part(known).architectures
            )[0]
        for how, predicted in ways.items():
            figures.append(judged(protocol, how, predicted, column[known], params[known]))
    return figures


def read_darts(data: Path) -> Trainings:
    space, sizes, _ = default_sizes("darts")
    rows = [row for row in read_csv(data / "darts_trained.csv") if row["protocol"] != "small_200"]
    known = {
        protocol: np.array(
            [float(row["c10_acc"]) if row["protocol"] == protocol else np.nan for row in rows]
        )
        for protocol in ("full_600", "short_50")
    }
    told = {
        "fitted_on": "CIFAR-10 accuracies of DARTS cells: full_600, 600 epochs of the published "
        "recipe; short_50, 50 epochs",
        "does_not_hold": "other data than small natural images; networks much smaller or larger "
        "than the published ones; cells with 'none' edges, of which it saw none",
    }
    architectures = [space.parse(row["genotype"]) for row in rows]
    weights = {"full_600": 4.0, "short_50": 1.0}
    return Trainings(space, architectures, known, weights, told, sizes)


def read_nasbench201(data: Path) -> Trainings:
    space, sizes, _ = default_sizes("nasbench201")
    table = read_csv(data / "nasbench201.csv")
    rows = [
        table[number]
        for number in np.random.default_rng(0).permutation(len(table)).tolist()
        if half(table[number]["arch_str"]) == "development"
    ][:SAMPLED]
    columns = ("c10_test_200", "c100_test_200", "in16_test_200")
    known = {name: np.array([float(row[name]) for row in rows]) for name in columns}
    told = {
        "fitted_on": "test accuracies after 200 epochs of 3,000 cells of NAS-Bench-201's "
        "development half (studies/halves.py), on CIFAR-10, CIFAR-100 and ImageNet16-120",
        "does_not_hold": "other data and other sizes were not tried",
    }
    architectures = [space.parse(row["arch_str"]) for row in rows]
    return Trainings(space, architectures, known, dict.fromkeys(columns, 1.0), told, sizes)


def read_nasbench101(data: Path) -> Trainings:
    space, sizes, _ = default_sizes("nasbench101")
    record = BENCHMARKS.get("nasbench101")
    table = record.read(space, record.options(path=str(data / "nasbench101.npz")))
    order = np.random.default_rng(0).permutation(len(table))
    rows: list[int] = []
    for row in order.tolist():
        if half(str(table.architectures[row])) == "development":
            rows.append(row)
        if len(rows) == SAMPLED:
            break
    told = {
        "fitted_on": f"CIFAR-10 test accuracies after 108 epochs of {SAMPLED} cells of "
        "NAS-Bench-101's development half (studies/halves.py)",
        "does_not_hold": "other data and other sizes were not tried",
    }
    architectures = [table.architectures[row] for row in rows]
    known = {"c10_108": table.columns[table.validation][rows]}
    return Trainings(space, architectures, known, {"c10_108": 1.0}, told, sizes)


TASKS = ("class_object__test_top1", "class_scene__test_top1")
"""What the priors of TransNAS-Bench-101 are fitted to; what the other tasks share with them is in
studies/transnas_tasks.py."""


def read_transnas(data: Path, kind: str) -> Trainings:
    """Return the trainings of cells (``micro``) or skeletons (``macro``)."""
    rows = [row for row in read_csv(data / "transnas101.csv") if row["space"] == kind]
    what = {"micro": "cells", "macro": "skeletons"}[kind]
    otherwise = {"micro": "autoencoding", "macro": "the layout of rooms"}[kind]
    told = f"test accuracies of {len(rows):,} {what} of TransNAS-Bench-101, classification of "
    return of_table(
        f"transnas_{kind}",
        [row["arch"] for row in rows],
        {name.partition("__")[0]: [float(row[name]) for row in rows] for name in TASKS},
        told + "objects (75 classes) and scenes (47) in Taskonomy's pictures of rooms, 256 x 256",
        f"{otherwise}, which ranks the same networks otherwise; other data and other sizes were "
        "not tried",
    )


def read_nas_bench_macro(data: Path) -> Trainings:
    rows = read_csv(data / "nas_bench_macro.csv")
    order = np.random.default_rng(0).permutation(len(rows)).tolist()[:SAMPLED]
    return of_table(
        "nas_bench_macro",
        [rows[row]["arch"] for row in order],
        {"c10_mean3": [float(rows[row]["mean_acc"]) for row in order]},
        f"CIFAR-10 test accuracies, means of 3 runs, of {SAMPLED} networks of NAS-Bench-Macro's "
        "development half (studies/halves.py)",
        "other data and other sizes were not tried",
    )


def read_flexibert(data: Path) -> Trainings:
    space, sizes, _ = default_sizes("flexibert")
    record = BENCHMARKS.get("flexibert")
    table = record.read(space, record.options(path=str(data / "flexibert.csv")))
    told = {
        "fitted_on": f"mean GLUE scores of {len(table)} language models of FlexiBERT, pretrained "
        "for 100,000 steps and fine-tuned (Serianni and Kalita, ACL 2023), a development half",
        "does_not_hold": "other tasks, longer pretraining and larger models were not tried",
    }
    known = {"glue": table.columns["glue"]}
    return Trainings(space, list(table.architectures), known, {"glue": 1.0}, told, sizes)


def of_table(
    name: str,
    texts: Sequence[str],
    columns: Mapping[str, Sequence[float]],
    fitted_on: str,
    does_not_hold: str,
) -> Trainings:
    """Return the trainings of a table's development half, all columns of equal weight."""
    if {half(text) for text in texts} != {"development"}:
        raise InputError(f"the table of {name} must hold its development half alone")
    space, sizes, _ = default_sizes(name)
    known = {name: np.array(column) for name, column in columns.items()}
    told = {"fitted_on": fitted_on, "does_not_hold": does_not_hold}
    cells = [space.parse(text) for text in texts]
    return Trainings(space, cells, known, dict.fromkeys(known, 1.0), told, sizes)


READERS: dict[str, Callable[[Path], Trainings]] = {
    "darts": read_darts,
    "flexibert": read_flexibert,
    "nas_bench_macro": read_nas_bench_macro,
    "nasbench101": read_nasbench101,
    "nasbench201": read_nasbench201,
    "transnas_macro": partial(read_transnas, kind="macro"),
    "transnas_micro": partial(read_transnas, kind="micro"),
}


def measured_reference(name: str, score: str = "gradalign", seed: int = 0) -> Reference:
    """Return how a score is distributed over random architectures in the default search."""
    space, macro, _ = default_sizes(name)
    data = "text" if name in ON_TEXT else "digits"
    values = yaml.safe_load((Path(CONF) / "dataset" / f"{data}.yaml").read_text())
    record, options = read_choice(DATASETS, "dataset", values)
    settings = Settings().of(PROXIES.get(score))
    task = scoring_task(
        record.load(options), (score,), settings, seed, space=space, macro=macro, device="cpu"
    )
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(ON_TEXT.get(name, REFERENCE_SIZE))]
    workers = start_workers(Executor("inline"), task)
    scored = [one.scores[score] for one in workers.evaluate(drawn) if one.status == "ok"]
    workers.close()
    return reference_of(scored, told_reference(len(scored), macro, seed, data))


def told_reference(count: int, macro: Mapping[str, Any], seed: int, data: str = "digits") -> str:
    """Return how a reference was measured."""
    sizes = ", ".join(f"{key}={value}" for key, value in macro.items())
    told = {"digits": "digits of 16 x 16", "text": "dataset=text"}[data]
    return f"{count} random architectures, {sizes}, {told}, seed {seed}"


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


if __name__ == "__main__":
    main()
