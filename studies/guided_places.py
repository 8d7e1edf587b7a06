"""Where searches that train are compared: what a training tells there, and what judges.

- ``nasbench201``: a training tells the validation accuracy after 12 epochs, the test accuracy after
  200 epochs judges; the score is gradalign.
- ``nasbench101``: the test accuracy after 108 epochs tells and judges, as there is no shorter
  schedule; the score is the number of parameters.
- ``darts``: a forest fitted to 50-epoch trainings tells, with noise; a forest fitted to 600-epoch
  trainings judges; the score is the number of parameters.
- ``transnas_micro, TASK``, seven places: the result of full training on the task tells and judges,
  as the table has no other; in normal scores among the table's cells, so that tasks can be
  averaged. The score is the number of parameters.

Nothing may have more parameters than the median of the table, on ``darts`` than DARTS_V2. Of
``transnas_micro`` the table has 783 networks, too few for half of them: there is no bound, and
guided has and scores half as many.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.evaluation import Evaluation
from nas_search.priors import fit_prior
from nas_search.priors.warp import normal_scores
from nas_search.search.guided import TRAINED
from nas_search.spaces import SPACES, SearchSpace
from nas_search.tables import BENCHMARKS, Table
from studies.evolution_by_score import read_scores
from studies.transnas_tasks import read_tasks

NOISE = 0.5
"""Standard deviation of a short training's noise on ``darts``, where 1 is that over cells."""

TASKS = (
    *("class_object", "class_scene", "jigsaw", "autoencoder", "normal", "room_layout"),
    "segmentsemantic",
)
"""The tasks of TransNAS-Bench-101."""

TRANSNAS = "transnas_micro, "
"""How the names of its places begin."""

UNKNOWN = 1 << 62
"""The size of what a table does not have: above every bound."""

Number = Callable[[Hashable], float | None]


@dataclass
class Place:
    """A space in which the outcome of every training is known.

    Attributes:
        space: the search space.
        score: name of the score; ``scores`` gives it.
        told: what a short training tells; None where nobody knows.
        judged: what a candidate is worth in the end.
        size: number of parameters.
        bound: the largest that is allowed.
        of_guided: options of guided that differ here.
    """

    space: SearchSpace[Any]
    score: str
    scores: Number
    told: Number
    judged: Number
    size: Callable[[Hashable], int]
    bound: int
    of_guided: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known: dict[str, tuple[str, int, float | None, float | None]] = {}

    def scored(self, genotype: Hashable) -> Evaluation:
        """Return the evaluation by the score."""
        key, size, score, _ = self._facts(genotype)
        if size > self.bound:
            return Evaluation(str(genotype), key, "rejected", params=size, reason="too large")
        if score is None:
            return Evaluation(str(genotype), key, "dead", params=size, reason="no score")
        return Evaluation(str(genotype), key, "ok", {self.score: score}, params=size)

    def trained(self, genotype: Hashable, name: str = TRAINED) -> Evaluation:
        """Return the evaluation by a short training, within the bound."""
        key, size, _, told = self._facts(genotype)
        if size > self.bound:
            return Evaluation(str(genotype), key, "rejected", params=size, reason="too large")
        if told is None:
            return Evaluation(str(genotype), key, "failed", params=size, reason="not in the table")
        return Evaluation(str(genotype), key, "ok", {name: told}, params=size)

    def _facts(self, genotype: Hashable) -> tuple[str, int, float | None, float | None]:
        text = str(genotype)
        if text not in self._known:
            key, size = self.space.canonical(genotype), self.size(genotype)
            fits = size <= self.bound
            score = self.scores(genotype) if fits else None
            self._known[text] = (key, size, score, self.told(genotype) if fits else None)
        return self._known[text]


def nasbench201(data: Path, scores: Path | None) -> Place:
    """Return the place; ``scores`` is scores.csv of a ranking of all classes of cells."""
    space, record = SPACES.get("nasbench201").space(), BENCHMARKS.get("nasbench201")
    table = record.read(space, record.options(str(data / "nasbench201.csv"), "c10valid_val_12"))
    assert scores is not None, "the place nasbench201 needs scores"
    gradalign = read_scores(scores, table)["gradalign"]

    def size(genotype: Hashable) -> int:
        return space.cost(genotype, (3, 32, 32), 10).params

    rng = np.random.default_rng(0)
    median = int(np.median([size(space.sample(rng)) for _ in range(1000)]))
    return Place(
        space,
        "gradalign",
        lambda genotype: gradalign.get(space.canonical(genotype)),
        lambda genotype: table.accuracy(genotype, "c10valid_val_12"),
        lambda genotype: table.accuracy(genotype, "c10_test_200"),
        size,
        median,
    )


def nasbench101(data: Path, _: Path | None) -> Place:
    """Return the place."""
    space, record = SPACES.get("nasbench101").space(), BENCHMARKS.get("nasbench101")
    file = data / "nasbench101.npz"
    table = record.read(space, record.options(str(file)))
    with np.load(file) as archive:
        params = archive["params"].astype(int)

    def size(genotype: Hashable) -> int:
        row = table.row(genotype)
        return UNKNOWN if row is None else int(params[row])

    def accuracy(genotype: Hashable) -> float | None:
        return table.accuracy(genotype, table.validation)

    def parameters(genotype: Hashable) -> float:
        return float(size(genotype))

    bound = int(np.median(params))
    return Place(space, "params", parameters, accuracy, accuracy, size, bound)


def darts(data: Path, _: Path | None) -> Place:
    """Return the place; accuracies are in standard deviations over trained cells."""
    space = SPACES.get("darts").space()
    with (data / "darts_trained.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    def forest(protocol: str, seed: int) -> Any:
        chosen = [row for row in rows if row["protocol"] == protocol]
        cells = [space.parse(row["genotype"]) for row in chosen]
        accuracies = {protocol: [float(row["c10_acc"]) for row in chosen]}
        return fit_prior(space, cells, accuracies, seed=seed, process=False)

    short, full = forest("short_50", 0), forest("full_600", 1)

    def told(genotype: Hashable) -> float:
        seed = hashlib.sha256(space.canonical(genotype).encode()).digest()[:8]
        noise = np.random.default_rng(list(seed)).normal(0, NOISE)
        return float(short.standardized(short.predict([genotype])[0])[0] + noise)

    def judged(genotype: Hashable) -> float:
        return float(full.standardized(full.predict([genotype])[0])[0])

    def size(genotype: Hashable) -> int:
        return space.cost(genotype, (3, 32, 32), 10, cells=8, channels=16).params

    def parameters(genotype: Hashable) -> float:
        return float(size(genotype))

    return Place(space, "params", parameters, told, judged, size, size(space.parse("DARTS_V2")))


def transnas_micro(task: str, data: Path, _: Path | None) -> Place:
    """Return the place of one task of TransNAS-Bench-101's cells."""
    space = SPACES.get("transnas_micro").space()
    texts, tasks = read_tasks(data, "micro")
    cells = [space.parse(text) for text in texts]
    table = Table(space, cells, {task: normal_scores(tasks[task])}, task, ())

    def size(genotype: Hashable) -> int:
        row = table.row(genotype)
        if row is None:
            return UNKNOWN
        return space.cost(cells[row], (3, 256, 256), 75, stem_halvings=2).params

    def result(genotype: Hashable) -> float | None:
        return table.accuracy(genotype, task)

    def parameters(genotype: Hashable) -> float:
        return float(size(genotype))

    half = {"population": 50, "tournament": 12, "scored": 25}
    return Place(space, "params", parameters, result, result, size, UNKNOWN - 1, half)


PLACES: dict[str, Callable[[Path, Path | None], Place]] = {
    "nasbench201": nasbench201,
    "nasbench101": nasbench101,
    "darts": darts,
    **{TRANSNAS + task: partial(transnas_micro, task) for task in TASKS},
}
