"""Fit a prior to accuracies of trained architectures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from nas_search.core.errors import InputError
from nas_search.priors.forest import Array, Forest, from_sklearn, joined
from nas_search.priors.prior import Prior, design
from nas_search.spaces import SearchSpace

FEWEST_TRAININGS = 5
"""Below, a ranking says nothing of structure."""
TREES = 500
LEAF_SIZE = 2
FEATURES_PER_SPLIT = 0.4
MAX_NODES = 170_000
"""Nodes of a forest, about: its file stays below 1 MB. Many trainings have larger leaves and fewer
trees, :data:`FEWEST_TREES` at least; their own number makes up for it."""
MAX_LEAVES = 800
FEWEST_TREES = 50
BASE_TRAININGS = 40
"""Trainings as many as a prior to start from counts."""
RANDOM_ARCHITECTURES = 500
"""Drawn to learn the scale of predictions."""


def normal_scores(accuracies: Sequence[float] | Array) -> Array:
    """Return the quantiles of N(0, 1) at (rank - 1/2) / n of ``accuracies`` (n,); ties share."""
    values = np.asarray(accuracies, dtype=np.float64)
    return np.asarray(norm.ppf((rankdata(values) - 0.5) / len(values)))


def fit_prior(
    space: SearchSpace[Any],
    architectures: Sequence[Hashable],
    accuracies: Mapping[str, Sequence[float] | Array],
    weights: Mapping[str, float] | None = None,
    scores: Mapping[str, Sequence[float] | Array] | None = None,
    seed: int = 0,
    base: Prior | None = None,
    trees: int | None = None,
    card: Mapping[str, Any] | None = None,
) -> Prior:
    """Return a prior that ranks as trained architectures do within their training protocols.

    Accuracies become normal scores within each protocol, so protocols need no common scale.

    Args:
        space: the search space.
        architectures: (n) genotypes, or texts.
        accuracies: (n,) by protocol; NaN where an architecture was not trained by it. A protocol
            of one training says nothing and is left out.
        weights: of each protocol, above 0: its nearness to full training; 1 where none is given.
        scores: (n,) by name, further columns for the forest; predictions need them then.
        seed: of the forest.
        base: prior of the same space to start from; it counts as much as :data:`.BASE_TRAININGS`
            trainings. It takes no scores.
        trees: number of trees; None for :data:`TREES`, or fewer where there are many trainings.
        card: what is told of the prior.

    Raises:
        InputError: fewer than :data:`FEWEST_TRAININGS` trainings, constant accuracies in a
            protocol, one that is not finite, or base and scores together.
    """
    names = tuple(scores or ())
    values = design(space, architectures, names, scores or {})
    rows, targets, counts = [], [], []
    for protocol, column in accuracies.items():
        known = np.asarray(column, dtype=np.float64)
        if known.shape != (len(architectures),):
            raise InputError(
                f"{len(architectures)} architectures, and {protocol} has the shape {known.shape}"
            )
        trained = np.flatnonzero(~np.isnan(known))
        if len(trained) < 2:  # nothing to compare it with
            continue
        if not np.isfinite(known[trained]).all():
            raise InputError(f"{protocol}: accuracies must be finite")
        if np.ptp(known[trained]) == 0:
            raise InputError(
                f"{protocol}: all {len(trained)} accuracies are equal; nothing follows from them"
            )
        weight = float((weights or {}).get(protocol, 1.0))
        if not 0 < weight < np.inf:
            raise InputError(f"{protocol}: its weight must be above 0, got {weight}")
        rows.append(trained)
        targets.append(normal_scores(known[trained]))
        counts.append(np.full(len(trained), weight))
    total = sum(map(len, rows))
    if total < FEWEST_TRAININGS:
        raise InputError(
            f"{total} trained architectures are too few to learn from; give "
            f"{FEWEST_TRAININGS} or more, 20 to help a search"
        )
    if base is not None and (base.space.name != space.name or base.scores or names):
        raise InputError("a prior to start from must be of this space, and neither may take scores")
    index = np.concatenate(rows)
    trees = trees or number_of_trees(total)
    own = trees if base is None else round(trees * total / (total + BASE_TRAININGS))
    forest = grow(values[index], np.concatenate(targets), np.concatenate(counts), seed, own)
    if base is not None:
        forest = joined([forest, base.forest.part(trees - own)])
    center, spread = _scale(space, forest, values, names)
    references = base.references if base is not None else {}
    return Prior(space, names, forest, center, spread, references, dict(card or {}))


def leaf_size(trainings: int) -> int:
    """Return the fewest trainings in a leaf."""
    return max(LEAF_SIZE, trainings // MAX_LEAVES)


def number_of_trees(trainings: int) -> int:
    """Return how many trees are grown of so many trainings."""
    nodes = max(1, round(1.6 * trainings / leaf_size(trainings)))  # of a tree: measured
    return min(TREES, max(FEWEST_TREES, MAX_NODES // nodes))


def grow(values: Array, targets: Array, weights: Array, seed: int, trees: int) -> Forest:
    """Return a compact forest fitted to ``targets`` (n,) at ``values`` (n, columns)."""
    from sklearn.ensemble import ExtraTreesRegressor

    model = ExtraTreesRegressor(
        trees,
        min_samples_leaf=leaf_size(len(targets)),
        max_features=FEATURES_PER_SPLIT,
        random_state=seed,
    )
    model.fit(values.astype(np.float32), targets, sample_weight=weights)
    return from_sklearn(model).compact()


def _scale(
    space: SearchSpace[Any], forest: Forest, values: Array, scores: Sequence[str]
) -> tuple[float, float]:
    """Return mean and standard deviation of predictions over random architectures.

    With scores, which random architectures do not have, over those that were trained.
    """
    if not scores:
        rng = np.random.default_rng(0)
        drawn = [space.sample(rng) for _ in range(RANDOM_ARCHITECTURES)]
        values = design(space, drawn, (), {})
    prediction, _ = forest.predict(values)
    return float(prediction.mean()), float(max(prediction.std(), 1e-6))
