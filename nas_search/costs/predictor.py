"""The latency of a network without running it: from counts of operations by shape, or a table.

A network's latency is taken to be the sum of what its parts take, each operation of each shape by
itself, plus a constant. Counted are both the operations of the search space (a separable
convolution with its sum into the node) and the functions that they consist of, so that operations
that share a function help each other. The times are a ridge regression on the counts in measured
networks; counts that are the same in all networks belong to the constant. The strength of the
penalty is chosen by cross-validation within the fit, the error is that of predictions for networks
that were not in the fit.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.core.text import quote
from nas_search.costs.at import At
from nas_search.costs.trace import trace_part
from nas_search.spaces import Part, SearchSpace

FOLDS = 5
"""Parts of the measured networks; each is predicted from the others."""

PENALTIES = np.logspace(-4, 4, 17)


@dataclass(frozen=True)
class LatencyPredictor:
    """Milliseconds by operation and shape; picklable.

    Attributes:
        constant: milliseconds that every network takes.
        weights: milliseconds by operation and shape.
    """

    constant: float
    weights: Mapping[str, float]
    _by_part: dict[Part, float] = field(default_factory=dict, compare=False, repr=False)

    def milliseconds(self, space: SearchSpace[Any], genotype: Any, at: At) -> float:
        """Return the predicted latency, never less than 0."""
        parts = space.parts(genotype, at.input_shape, at.num_classes, **at.macro)
        alone = len(parts) == 1  # the network itself, which has no like
        total = self.constant
        for part, times in parts.items():
            total += times * (
                self._of(part) + (0.0 if alone else self.weights.get(_key(part), 0.0))
            )
        return max(0.0, total)

    def _of(self, part: Part) -> float:
        if part not in self._by_part:
            counts = _counts(part)
            self._by_part[part] = sum(n * self.weights.get(key, 0.0) for key, n in counts.items())
        return self._by_part[part]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-serializable values."""
        return {"constant": self.constant, "weights": dict(self.weights)}


@dataclass(frozen=True)
class LatencyTable:
    """Measured milliseconds by canonical form."""

    values: Mapping[str, float]

    def milliseconds(self, space: SearchSpace[Any], genotype: Any, at: At) -> float:
        """Return the latency in the table; infinite for an architecture that is not in it."""
        return self.values.get(space.canonical(genotype), math.inf)

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON-serializable values."""
        return dict(self.values)


@dataclass(frozen=True)
class Fit:
    """A predictor and how far it is off.

    Attributes:
        predictor: fitted on all measured networks.
        held_out: for each measured network what a fit without it predicts, in milliseconds.
    """

    predictor: LatencyPredictor
    held_out: list[float]


def fit_predictor(
    space: SearchSpace[Any], genotypes: Sequence[Any], milliseconds: Sequence[float], at: At
) -> Fit:
    """Return the predictor of measured networks; it depends on nothing else.

    Args:
        space: of the genotypes.
        genotypes: of the measured networks, :data:`FOLDS` times 2 or more.
        milliseconds: what each takes.
        at: the size at which they were measured.
    """
    counts = [operation_counts(space, genotype, at) for genotype in genotypes]
    keys = sorted({key for one in counts for key in one})
    table = np.array([[one[key] for key in keys] for one in counts], dtype=float)
    varying = table.std(axis=0) > 0
    names = [key for key, varies in zip(keys, varying, strict=True) if varies]
    features, times = table[:, varying], np.asarray(milliseconds, dtype=float)
    held_out = np.empty(len(times))
    for fold in range(FOLDS):
        test = np.arange(len(times)) % FOLDS == fold
        constant, weights = _ridge(features[~test], times[~test])
        held_out[test] = np.maximum(0, constant + features[test] @ weights)
    constant, weights = _ridge(features, times)
    predictor = LatencyPredictor(constant, dict(zip(names, map(float, weights), strict=True)))
    return Fit(predictor, held_out.tolist())


def operation_counts(space: SearchSpace[Any], genotype: Any, at: At) -> Counter[str]:
    """Return how often each operation and each function of each shape runs for one image."""
    total: Counter[str] = Counter()
    parts = space.parts(genotype, at.input_shape, at.num_classes, **at.macro)
    for part, times in parts.items():
        if len(parts) > 1:
            total[_key(part)] += times
        for key, count in _counts(part).items():
            total[key] += times * count
    return total


@lru_cache(maxsize=16384)
def _counts(part: Part) -> Counter[str]:
    return Counter(f"{step.name} {step.shapes}" for step in trace_part(part).steps)


@lru_cache(maxsize=16384)
def _key(part: Part) -> str:
    arguments = ", ".join(map(str, part.args))
    return f"{part.make.__qualname__}({arguments}) of {'x'.join(map(str, part.input_shape))}"


def _ridge(features: np.ndarray, times: np.ndarray) -> tuple[float, np.ndarray]:
    from sklearn.linear_model import RidgeCV  # imported here: it takes a second

    if not features.shape[1]:
        return float(times.mean()), np.zeros(0)
    scale = features.std(axis=0)
    scale[scale == 0] = 1.0  # constant within this fold
    model = RidgeCV(PENALTIES).fit(features / scale, times)
    return float(model.intercept_), model.coef_ / scale


def read_latency_table(space: SearchSpace[Any], file: Path) -> LatencyTable:
    """Return the latencies in a CSV file with the columns ``genotype`` and ``latency`` (ms).

    Rows of one network are averaged.

    Raises:
        InputError: the file or a column is missing, or a row is impossible; the message names it.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"latency.table: cannot read {file} ({error})") from None
    columns = list(rows[0]) if rows else []
    for name in ("genotype", "latency"):
        if name not in columns:
            guess = did_you_mean(name, columns)
            raise InputError(f"latency.table: {file} has no column '{name}'{guess}")
    found: dict[str, list[float]] = {}
    for number, row in enumerate(rows, 2):
        try:
            value = float(row["latency"])
            key = space.canonical(space.parse(row["genotype"]))
        except (InputError, TypeError, ValueError) as error:
            raise InputError(f"latency.table: {file}, line {number}: {quote(error)}") from None
        if not 0 < value < math.inf:
            raise InputError(
                f"latency.table: {file}, line {number}: latency={row['latency']} must be a number "
                "of milliseconds, more than 0"
            )
        found.setdefault(key, []).append(value)
    return LatencyTable({key: math.fsum(values) / len(values) for key, values in found.items()})
