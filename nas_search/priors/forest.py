"""A regression forest as plain arrays: fitted by scikit-learn, predicting with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAF = -1
ROWS_TOGETHER = 512
"""Rows that walk down all trees at once: with 500 trees, arrays of 1 MB."""


@dataclass(frozen=True)
class Forest:
    """Trees one after another, each in preorder: an inner node's left child follows it.

    Attributes:
        feature: (nodes,) feature that a node compares, :data:`LEAF` where it is a leaf.
        threshold: (nodes,) a row goes left where its value in float32 is at most this.
        right: (nodes,) how many nodes later the right child is.
        value: (nodes,) prediction of a leaf; of an inner node, mean of the trainings in it.
        roots: (trees,) numbers of the trees' first nodes.
    """

    feature: NDArray[np.int64]
    threshold: Array
    right: NDArray[np.int64]
    value: Array
    roots: NDArray[np.int64]

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def predict_trees(self, values: Array) -> Array:
        """Return the prediction of each tree, (rows, trees), for features (rows, features)."""
        blocks = [
            self._walk(values[start : start + ROWS_TOGETHER])
            for start in range(0, len(values), ROWS_TOGETHER)
        ]
        return np.concatenate(blocks) if blocks else np.empty((0, self.trees))

    def predict(self, values: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation over trees, (rows,) each."""
        predictions = self.predict_trees(values)
        return predictions.mean(1), predictions.std(1)

    @property
    def mean(self) -> float:
        """Mean of the trainings, over trees: where every prediction begins."""
        return float(self.value[self.roots].mean())

    def effects(self, values: Array) -> Array:
        """Return how far each feature moves the predictions of (rows, features) from the mean.

        Each split on the way down moves a tree's prediction from the mean of one node to that of
        its child; all moves by a feature, averaged over trees, are its effect. The effects of a row
        sum to its prediction less :attr:`mean`.

        Returns:
            (rows, features).
        """
        moved = np.zeros(values.shape)
        compared = values.astype(np.float32)
        rows, node = np.indices((len(values), self.trees))
        node = self.roots[node]
        while (inner := self.feature[node] != LEAF).any():
            rows, node = rows[inner], node[inner]
            feature = self.feature[node]
            left = compared[rows, feature] <= self.threshold[node]
            child = np.where(left, node + 1, node + self.right[node])
            np.add.at(moved, (rows, feature), self.value[child] - self.value[node])
            node = child
        return moved / self.trees

    def part(self, trees: int) -> Forest:
        """Return ``trees`` of the trees, or all if there are fewer."""
        if trees >= self.trees:
            return self
        end = self.roots[trees]
        return Forest(
            feature=self.feature[:end],
            threshold=self.threshold[:end],
            right=self.right[:end],
            value=self.value[:end],
            roots=self.roots[:trees],
        )

    def compact(self) -> Forest:
        """Return the forest in the numbers that a file holds: float32 and float16."""
        return Forest(
            feature=self.feature,
            threshold=self.threshold.astype(np.float32).astype(np.float64),
            right=self.right,
            value=self.value.astype(np.float16).astype(np.float64),
            roots=self.roots,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a compact forest as they are stored."""
        return {
            "feature": self.feature.astype(np.int16),
            "threshold": self.threshold.astype(np.float32),
            "right": self.right.astype(np.int32),
            "value": self.value.astype(np.float16),
            "roots": self.roots.astype(np.int32),
        }

    def _walk(self, values: Array) -> Array:
        rows = np.arange(len(values))[:, None]
        compared = values.astype(np.float32)
        node = np.broadcast_to(self.roots, (len(values), self.trees))
        while True:
            feature = self.feature[node]
            inner = feature != LEAF
            if not inner.any():
                return self.value[node]
            left = compared[rows, feature] <= self.threshold[node]
            node = np.where(inner, node + np.where(left, 1, self.right[node]), node)


def from_arrays(arrays: Mapping[str, NDArray[Any]], features: int) -> Forest:
    """Return the forest that :meth:`Forest.to_arrays` gave.

    Args:
        arrays: by name.
        features: number of features that it compares.

    Raises:
        ValueError: they are no forest of so many features; no prediction could end, or be right.
        KeyError: one is missing.
    """
    forest = Forest(
        feature=arrays["feature"].astype(np.int64),
        threshold=arrays["threshold"].astype(np.float64),
        right=arrays["right"].astype(np.int64),
        value=arrays["value"].astype(np.float64),
        roots=arrays["roots"].astype(np.int64),
    )
    nodes = len(forest.feature)
    inner = forest.feature != LEAF
    children = np.arange(nodes) + forest.right
    sound = (
        all(one.shape == (nodes,) for one in (forest.threshold, forest.right, forest.value))
        and len(forest.roots)
        and ((forest.roots >= 0) & (forest.roots < nodes)).all()
        and ((forest.feature >= LEAF) & (forest.feature < features)).all()
        and ((forest.right > 1) & (children < nodes))[inner].all()
        and np.isfinite(forest.threshold).all()
        and np.isfinite(forest.value).all()
    )
    if not sound:
        raise ValueError("its trees are damaged")
    return forest


def joined(forests: Sequence[Forest]) -> Forest:
    """Return all trees of ``forests`` as one: its mean weights each by its number of trees."""
    starts = np.cumsum([0, *(len(forest.feature) for forest in forests[:-1])])
    return Forest(
        feature=np.concatenate([forest.feature for forest in forests]),
        threshold=np.concatenate([forest.threshold for forest in forests]),
        right=np.concatenate([forest.right for forest in forests]),
        value=np.concatenate([forest.value for forest in forests]),
        roots=np.concatenate(
            [forest.roots + start for forest, start in zip(forests, starts, strict=True)]
        ),
    )


def from_sklearn(model: Any) -> Forest:
    """Return a fitted ``RandomForestRegressor`` or ``ExtraTreesRegressor`` as arrays."""
    return joined([_tree(estimator.tree_) for estimator in model.estimators_])


def _tree(tree: Any) -> Forest:
    """Return one tree of scikit-learn, its nodes in preorder."""
    left, right = tree.children_left, tree.children_right
    order, stack = [], [0]
    while stack:
        node = stack.pop()
        order.append(node)
        if left[node] >= 0:
            stack += [right[node], left[node]]
    new = np.empty(len(order), dtype=np.int64)
    new[order] = np.arange(len(order))
    leaf = left[order] < 0
    return Forest(
        feature=np.where(leaf, LEAF, tree.feature[order]).astype(np.int64),
        threshold=np.where(leaf, 0.0, tree.threshold[order]),
        right=np.where(leaf, 0, new[right[order]] - new[order]),
        value=tree.value[order, 0, 0].astype(np.float64),
        roots=np.zeros(1, dtype=np.int64),
    )
