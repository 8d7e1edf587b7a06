"""Fit a prior to accuracies of trained architectures."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.priors.fit_process import fit_process
from nas_search.priors.forest import Array, Forest, from_sklearn, joined
from nas_search.priors.line import Line, line_of
from nas_search.priors.prior import COPIES, Prior, Share, design
from nas_search.priors.process import MOST_TRAININGS, Process
from nas_search.priors.warp import normal_scores
from nas_search.spaces import SearchSpace

FEWEST_TRAININGS = 5
"""Below, a ranking says nothing of structure."""
TREES = 500
LEAF_SIZE = 2
FEATURES_PER_SPLIT = 0.4
MAX_NODES = 170_000
"""Nodes of a forest, about: its file stays below 1 MB. Many trainings have larger leaves and fewer
trees, :data:`FEWEST_TREES` at least; their own number makes up for it."""
MAX_NODES_BESIDE_PROCESS = 130_000
"""The same beside a process, which takes 100 kB of the file."""
MAX_LEAVES = 800
FEWEST_TREES = 50
BASE_TRAININGS = 40
"""Trainings as many as a prior to start from counts."""
RANDOM_ARCHITECTURES = 500
"""Drawn to learn the scale of predictions."""


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
    process: bool | None = None,
) -> Prior:
    """Return a prior that ranks as trained architectures do within their training protocols.

    Accuracies become normal scores within each protocol, so protocols need no common scale. After
    few trainings it is the mean of a forest, on what the line of the scores leaves, and of a
    Gaussian process; after many a forest.

    Args:
        space: the search space.
        architectures: (n) genotypes, or texts.
        accuracies: (n,) by protocol; NaN where an architecture was not trained by it. A protocol
            of one training says nothing and is left out.
        weights: of each protocol, above 0: its nearness to full training; 1 where none is given.
        scores: (n,) by name, to learn from beside structure; predictions need them then.
        seed: of the forest.
        base: prior of the same space to start from; it counts as much as :data:`.BASE_TRAININGS`
            trainings. It takes no scores.
        trees: number of trees; None for :data:`TREES`, or fewer where there are many trainings.
        card: what is told of the prior.
        process: whether there is a process beside the forest; None where there are at most
            :data:`.MOST_TRAININGS` trainings.

    Raises:
        InputError: fewer than :data:`FEWEST_TRAININGS` trainings, constant accuracies in a
            protocol, one that is not finite, or base and scores together.
    """
    names = tuple(scores or ())
    values = design(space, architectures, names, scores or {})
    rows, targets, counts, single = [], [], [], 0
    for protocol, column in accuracies.items():
        known = np.asarray(column, dtype=np.float64)
        if known.shape != (len(architectures),):
            raise InputError(
                f"{len(architectures)} architectures, and {protocol} has the shape {known.shape}"
            )
        trained = np.flatnonzero(~np.isnan(known))
        if len(trained) < 2:  # nothing to compare it with
            single += len(trained)
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
        raise InputError(_too_few(total, single))
    if base is not None and (base.space.name != space.name or base.scores or names):
        raise InputError("a prior to start from must be of this space, and neither may take scores")
    if process and total > MOST_TRAININGS:
        raise InputError(f"{total} trainings are too many for a process; at most {MOST_TRAININGS}")
    index = np.concatenate(rows)
    columns, target, by = values[index], np.concatenate(targets), np.concatenate(counts)
    line, own = None, None
    if process or (process is None and total <= MOST_TRAININGS):
        line, own = _beside(columns, len(names), target, by)
    forest, shares = _together(columns, target, by, seed, trees, line, own, base)
    fitted = Prior(
        space=space,
        scores=names,
        forest=forest,
        center=0.0,
        spread=1.0,
        references=base.references if base is not None else {},
        card=dict(card or {}),
        line=line,
        processes=shares,
    )
    return _scaled(fitted, values)


def _too_few(compared: int, single: int) -> str:
    """Return what is missing, of trainings that compare with others and those that do not."""
    found = compared + single
    alone = ""
    if single and found > 1:
        alone = (
            f", {single} of them {'' if single == 1 else 'each '}the only one of its protocol, "
            "which compares with no other"
        )
    what = "1 trained architecture is" if found == 1 else f"{found} trained architectures are"
    fewest = f"{FEWEST_TRAININGS} or more{' of one protocol' if alone else ''}, 20 to help a search"
    return f"{what} too few to learn from{alone}; give {fewest}"


def _beside(columns: Array, scores: int, targets: Array, weights: Array) -> tuple[Line, Process]:
    """Return the line of the scores, and the process, that stand beside a forest."""
    structure = columns.shape[1] - COPIES * scores
    known = columns[:, structure::COPIES]
    line = line_of(known, targets, weights)
    process = fit_process(columns[:, :structure], line.warped(known), targets, weights)
    return line, process


def _together(
    columns: Array,
    targets: Array,
    weights: Array,
    seed: int,
    trees: int | None,
    line: Line | None,
    process: Process | None,
    base: Prior | None,
) -> tuple[Forest, tuple[Share, ...]]:
    """Return all trees, and the processes with their shares of the prediction.

    What is new has the share n / (n + :data:`BASE_TRAININGS`) beside a base, and a process one half
    of it; trees share the rest by their number.
    """
    total = len(targets)
    trees = trees or number_of_trees(
        total, MAX_NODES if process is None else MAX_NODES_BESIDE_PROCESS
    )
    if line is not None:
        known = columns[:, columns.shape[1] - COPIES * len(line.warps) :: COPIES]
        targets = targets - line.predict(line.warped(known))
    new = 1.0 if base is None else total / (total + BASE_TRAININGS)
    of_process = new / 2 if process is not None else 0.0
    shares = () if process is None else (Share(of_process, process),)
    if base is None:
        return grow(columns, targets, weights, seed, trees), shares
    old = tuple(Share((1 - new) * one.weight, one.process) for one in base.processes)
    of_old_trees = (1 - new) * (1 - sum(one.weight for one in base.processes))
    own = round(trees * (new - of_process) / (new - of_process + of_old_trees))
    own = min(max(own, 1), trees - 1)
    grown = grow(columns, targets, weights, seed, own)
    return joined([grown, base.forest.part(trees - own)]), (*shares, *old)


def leaf_size(trainings: int) -> int:
    """Return the fewest trainings in a leaf."""
    return max(LEAF_SIZE, trainings // MAX_LEAVES)


def number_of_trees(trainings: int, most_nodes: int = MAX_NODES) -> int:
    """Return how many trees are grown of so many trainings."""
    nodes = max(1, round(1.6 * trainings / leaf_size(trainings)))  # of a tree: measured
    return min(TREES, max(FEWEST_TREES, most_nodes // nodes))


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


def _scaled(prior: Prior, values: Array) -> Prior:
    """Return the prior with its scale: mean and deviation of predictions for random cells.

    With scores, which random architectures do not have, for those that were trained, ``values``.
    """
    if not prior.scores:
        rng = np.random.default_rng(0)
        drawn = [prior.space.sample(rng) for _ in range(RANDOM_ARCHITECTURES)]
        values = design(prior.space, drawn, (), {})
    prediction, _ = prior.of_design(values)
    return dataclasses.replace(
        prior, center=float(prediction.mean()), spread=float(max(prediction.std(), 1e-6))
    )
