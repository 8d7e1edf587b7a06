"""What repeated trainings of the same network tell about the noise of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Repeats:
    """Repeated trainings of the n architectures of a column of accuracies.

    Attributes:
        variance: (n,) unbiased variance of one training; 0 where there is but one.
        freedom: (n,) its degrees of freedom: trainings less one, 0 where there is but one.
        trainings: (n,) how many trainings each accuracy is the mean of.
    """

    variance: Array
    freedom: Array
    trainings: Array

    @property
    def tells(self) -> bool:
        """Whether two trainings of one network differ anywhere."""
        return bool((self.variance * self.freedom).any())


def means_and_repeats(values: Array, groups: NDArray[np.intp], count: int) -> tuple[Array, Repeats]:
    """Return the mean accuracies (count,), NaN if unknown, and the repeats behind them.

    Args:
        values: (m,) accuracies, one per training, NaN if unknown.
        groups: (m,) number of the architecture of each.
        count: of the architectures.
    """
    finite = np.isfinite(values)
    values, groups = values[finite], groups[finite]
    trainings = np.bincount(groups, minlength=count)
    sums = np.bincount(groups, values, minlength=count)
    means = np.where(trainings > 0, sums / np.maximum(trainings, 1), np.nan)
    squares = np.bincount(groups, (values - means[groups]) ** 2, minlength=count)
    # Equal accuracies leave rounding errors, which are no noise.
    squares[squares <= 1e-18 * np.bincount(groups, values**2, minlength=count)] = 0
    freedom = np.maximum(trainings - 1.0, 0)
    return means, Repeats(
        squares / np.maximum(freedom, 1), freedom, np.maximum(trainings.astype(np.float64), 1)
    )


def columns_and_repeats(
    rows: Sequence[Mapping[str, Sequence[float]]],
) -> tuple[dict[str, Array], dict[str, Repeats]]:
    """Return the columns of mean accuracies (n,), and the repeats behind each.

    Args:
        rows: (n) accuracies of all trainings of an architecture, by column.
    """
    columns, repeats = {}, {}
    for name in sorted({name for row in rows for name in row}):
        groups = [number for number, row in enumerate(rows) for _ in row.get(name, ())]
        values = [value for row in rows for value in row.get(name, ())]
        columns[name], repeats[name] = means_and_repeats(
            np.array(values), np.array(groups), len(rows)
        )
    return columns, repeats


def repeats_of_equal_networks(values: Array, canonical: Sequence[str]) -> Repeats:
    """Return the repeats in a table that has networks twice, in different words.

    Each row counts as one training, whatever it is the mean of.

    Args:
        values: (n,) accuracies, NaN if unknown.
        canonical: (n) canonical forms.
    """
    _, groups = np.unique(np.array(canonical), return_inverse=True)
    _, of_group = means_and_repeats(values, groups, int(groups.max()) + 1)
    freedom = of_group.freedom / of_group.trainings  # shared by the rows of a group
    return Repeats(of_group.variance[groups], freedom[groups], np.ones(len(values)))
